package frame_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/runtime/view"
	"lightbox/stdlib/frame"
)

var update = flag.Bool("update", false, "rewrite testdata")

// given makes a frame of fixed rows.
func given(rows *frame.Rows, name string) frame.Frame {
	op := &step.Op{Name: "test.given " + name, Version: "1", Run: func(_ *step.Context, dir string) error { return rows.Write(dir) }}
	return frame.New(step.New(op, nil), rows.Columns())
}

func captions() *frame.Rows {
	cols := append(frame.CaptionColumns("system"),
		frame.Column{Name: "rouge1", Kind: frame.Number, Title: "ROUGE-1"},
		frame.Column{Name: "size", Kind: frame.Number},
		frame.Column{Name: "loss", Kind: frame.Number, Lower: true},
		frame.Column{Name: "stopped", Kind: frame.Bool})
	r := frame.NewRows(cols)
	nan := math.NaN()
	for _, x := range []struct {
		system, id, modality, caption string
		rouge, size, loss             float64
		stopped                       bool
	}{
		{"base", "a", "CT", "a scan", 0.25, nan, 2.5, true},
		{"base", "b", "MRI", "a \"brain\" <b>\u2028", 1.0 / 3, 1, 0.1, false},
		{"base", "c", "CT", "", 0.25, 0, 1e-9, true},
		{"LoRA", "a", "CT", "CT of the chest", 0.9, nan, 3, true},
		{"LoRA", "b", "MRI", "MRI of the brain", 1, 1, nan, true},
		{"LoRA", "c", "CT", "CT", 0, 1, 0, false},
	} {
		i := r.Add()
		r.SetString(i, "system", x.system)
		r.SetString(i, "id", x.id)
		r.SetString(i, "image", "films/"+x.id+".png")
		r.SetString(i, "reference", "reference "+x.id)
		r.SetString(i, "caption", x.caption)
		r.SetString(i, "modality", x.modality)
		r.SetNumber(i, "rouge1", x.rouge)
		r.SetNumber(i, "size", x.size)
		r.SetNumber(i, "loss", x.loss)
		r.SetBool(i, "stopped", x.stopped)
	}
	return r
}

func read(t *testing.T, f frame.Frame) *frame.Rows {
	t.Helper()
	rows, err := frame.Read(steptest.Run(t, f.Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(rows.Columns()), fmt.Sprint(f.Columns()); got != want {
		t.Errorf("columns of the artifact differ from the plan's:\n got %s\nwant %s", got, want)
	}
	return rows
}

// keys gives "system/id" of every row.
func keys(r *frame.Rows) string {
	var out []string
	for i := range r.Len() {
		out = append(out, r.String(i, "system")+"/"+r.String(i, "id"))
	}
	return strings.Join(out, " ")
}

func TestOps(t *testing.T) {
	f := given(captions(), "captions")
	for _, c := range []struct {
		name string
		f    frame.Frame
		want string
	}{
		{"where", f.Where("modality == 'CT' && rouge1 >= 0.25"), "base/a base/c LoRA/a"},
		{"absent compares false", f.Where("size < 5"), "base/b base/c LoRA/b LoRA/c"},
		{"absent is not known", f.Where("!known(size)"), "base/a LoRA/a"},
		{"nothing left", f.Where("false"), ""},
		{"worst", f.Worst("rouge1", 3), "LoRA/c base/a base/c"},
		{"worst of a loss is the highest", f.Worst("loss", 2), "LoRA/a base/a"},
		{"best", f.Best("rouge1", 2), "LoRA/b LoRA/a"},
		{"best leaves absent ones out", f.Best("loss", 9), "LoRA/c base/c base/b base/a LoRA/a"},
		{"sort", f.Sort("id"), "base/a LoRA/a base/b LoRA/b base/c LoRA/c"},
		{"sort down, absent last", f.Sort("-loss"), "LoRA/a base/a base/b base/c LoRA/c LoRA/b"},
		{"sort bool", f.Sort("stopped"), "base/b LoRA/c base/a base/c LoRA/a LoRA/b"},
		{"head", f.Head(2), "base/a base/b"},
		{"head beyond", f.Head(100), "base/a base/b base/c LoRA/a LoRA/b LoRA/c"},
		{"at", f.At("b"), "base/b LoRA/b"},
		{"films", f.Films(2), "base/a base/b LoRA/a LoRA/b"},
		{"films beyond", f.Films(9).Head(4), "base/a base/b base/c LoRA/a"},
		{"as", f.As("system", "x").Head(1), "x/a"},
		{"derived", f.Derive("len", "len(caption)").Where("len == 0"), "base/c"},
	} {
		if got := keys(read(t, c.f)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestDerive(t *testing.T) {
	f := given(captions(), "captions").
		Derive("overall", "mean(rouge1, size)").
		Derive("short", "len(caption) < 5").
		Derive("upper", "upper(modality)").
		Derive("rouge1", "rouge1 * 2").
		Derive("system", "system + '!'")
	r := read(t, f)
	for i, want := range []string{"NaN|false|CT|0.5|base!", "0.6666666666666666|false|MRI|0.6666666666666666|base!", "0.125|true|CT|0.5|base!"} {
		got := fmt.Sprintf("%v|%v|%s|%v|%s", r.Number(i, "overall"), r.Bool(i, "short"), r.String(i, "upper"), r.Number(i, "rouge1"), r.String(i, "system"))
		if got != want {
			t.Errorf("row %d: got %s, want %s", i, got, want)
		}
	}
	if !r.Columns()[0].Label {
		t.Error("a derived label is no label any more")
	}
}

func TestStack(t *testing.T) {
	a := given(captions(), "a")
	b := given(captions(), "b").As("prompt", "+Modality")
	r := read(t, frame.Stack(a, b))
	if r.Len() != 12 {
		t.Fatalf("got %d rows, want 12", r.Len())
	}
	if got := r.Labels(0).String() + "; " + r.Labels(11).String(); got != "system=base, prompt=; system=LoRA, prompt=+Modality" {
		t.Errorf("labels: %s", got)
	}
	c := frame.NewRows(frame.CaptionColumns("system"))
	c.Add()
	d := given(captions(), "d")
	plain := frame.NewRows(append(frame.CaptionColumns("system"), frame.Column{Name: "stopped", Kind: frame.Bool}))
	plain.Add()
	r = read(t, frame.Stack(given(plain, "plain"), d))
	if !math.IsNaN(r.Number(0, "rouge1")) || r.Number(1, "rouge1") != 0.25 {
		t.Error("a column that a frame lacks is absent there")
	}
}

func TestLabels(t *testing.T) {
	var l frame.Labels
	a := l.Set("system", "base").Set("prompt", "plain")
	b := a.Set("system", "LoRA")
	if a.String() != "system=base, prompt=plain" || b.String() != "system=LoRA, prompt=plain" {
		t.Errorf("got %s and %s", a, b)
	}
	if b.Get("nothing") != "" || b.Has("nothing") || !b.Has("prompt") {
		t.Error("Get and Has")
	}
}

// What Write stores, Read gives back to the bit, and a second Write to the byte.
func TestRoundTrip(t *testing.T) {
	r := frame.NewRows([]frame.Column{{Name: "s"}, {Name: "n", Kind: frame.Number, Lower: true, Title: "N", Note: "a note"}, {Name: "b", Kind: frame.Bool}})
	for i, v := range []float64{0, math.Copysign(0, -1), 1, -1, 1.0 / 3, math.MaxFloat64, math.SmallestNonzeroFloat64, 1e-7, 1e21, 123456789012345680, math.NaN(), 0.1 + 0.2} {
		at := r.Add()
		r.SetNumber(at, "n", v)
		r.SetString(at, "s", []string{"", "\"\\\n\t\x00", "é – 日本 \U0001F9E0", "<b>&amp;", "\u2028\u2029"}[i%5])
		r.SetBool(at, "b", i%2 == 0)
	}
	first, second := t.TempDir(), t.TempDir()
	if err := r.Write(first); err != nil {
		t.Fatal(err)
	}
	back, err := frame.Read(first)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Len() {
		a, b := r.Number(i, "n"), back.Number(i, "n")
		if absent := math.IsNaN(a) && math.IsNaN(b); !absent && math.Float64bits(a) != math.Float64bits(b) {
			t.Errorf("row %d: wrote %v, read %v", i, a, b)
		}
		if r.String(i, "s") != back.String(i, "s") || r.Bool(i, "b") != back.Bool(i, "b") {
			t.Errorf("row %d: wrote %q, read %q", i, r.String(i, "s"), back.String(i, "s"))
		}
	}
	if fmt.Sprint(back.Columns()) != fmt.Sprint(r.Columns()) {
		t.Errorf("columns: %v", back.Columns())
	}
	if err := back.Write(second); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"columns.json", "rows.jsonl"} {
		a, _ := os.ReadFile(filepath.Join(first, name))
		b, _ := os.ReadFile(filepath.Join(second, name))
		if len(a) == 0 || string(a) != string(b) {
			t.Errorf("%s is not written the same way twice", name)
		}
	}
}

func TestKeysAreOfTheContent(t *testing.T) {
	f := given(captions(), "captions")
	if a, b := f.Where("rouge1 > 0"), f.Where("rouge1 > 0"); a.Ref().Key() != b.Ref().Key() {
		t.Error("the same step has two keys")
	}
	seen := map[step.Key]string{}
	for name, g := range map[string]frame.Frame{"where": f.Where("rouge1 > 0"), "where2": f.Where("rouge1 > 1"), "worst": f.Worst("rouge1", 1),
		"best": f.Best("rouge1", 1), "sort": f.Sort("rouge1"), "down": f.Sort("-rouge1"), "head": f.Head(1), "at": f.At("a")} {
		if other, ok := seen[g.Ref().Key()]; ok {
			t.Errorf("%s and %s share a key", name, other)
		}
		seen[g.Ref().Key()] = name
	}
}

// TestErrors reads testdata/errors.txt: what is done, then the message.
func TestErrors(t *testing.T) {
	f := given(captions(), "captions")
	noBool := given(frame.NewRows(frame.CaptionColumns("system")), "no bool")
	otherKind := given(frame.NewRows([]frame.Column{{Name: "system", Label: true}, {Name: "rouge1"}}), "other kind")
	cases := []struct {
		name string
		f    frame.Frame
	}{
		{"unknown column", f.Where("modalty == 'CT'")},
		{"far column", f.Where("xyzzy > 1")},
		{"wrong type", f.Where("rouge1 == 'CT'")},
		{"not a bool", f.Where("rouge1 + 1")},
		{"syntax", f.Where("rouge1 >")},
		{"clock", f.Where("now().Year() > 2020")},
		{"machine's zones", f.Derive("d", "date('2020-01-01').Year()")},
		{"known of a string", f.Where("known(system)")},
		{"a list", f.Derive("words", "split(caption, ' ')")},
		{"dynamic", f.Derive("x", "fromJSON(caption)")},
		{"label of numbers", f.Derive("system", "rouge1")},
		{"no name", f.Derive("", "1")},
		{"worst of a string", f.Worst("caption", 2)},
		{"worst of nothing", f.Worst("rouge2", 2)},
		{"worst none", f.Worst("rouge1", 0)},
		{"sort", f.Sort("-rouge")},
		{"head", f.Head(0)},
		{"films", f.Films(0)},
		{"as a column", f.As("caption", "x")},
		{"as nothing", f.As("", "x")},
		{"stack nothing", frame.Stack()},
		{"stack a bool", frame.Stack(f, noBool)},
		{"stack two kinds", frame.Stack(f, otherKind)},
		{"twice", frame.New(f.Ref(), []frame.Column{{Name: "a"}, {Name: "a"}})},
		{"once, not twice", f.Where("modalty == 'CT'").Where("rouge > 1")},
		{"two of them", f.Where("modalty == 'CT'").Sort("rouge")},
		{"step in error", frame.New(step.Bad(nil, os.ErrInvalid), nil).Where("rouge > 1").Worst("rouge", 2)},
		{"no step", frame.Frame{}.Head(2)},
		{"at", f.At("aa")},
		{"at nothing", f.At("CXR_1")},
		{"at of none", f.Where("false").At("a")},
		{"infinite", f.Derive("ratio", "rouge1 / size")},
	}
	var b strings.Builder
	for _, c := range cases {
		_, err := steptest.Try(t, context.Background(), c.f.Ref())
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		fmt.Fprintf(&b, "-- %s --\n%v\n", c.name, err)
	}
	golden(t, "errors.txt", b.String())
}

// Files that Write did not make, or that were cut.
func TestReadErrors(t *testing.T) {
	const columns = `{"rows": 1, "columns": [{"name":"s","kind":"string"},{"name":"n","kind":"number"},{"name":"b","kind":"bool"}]}`
	var b strings.Builder
	for _, c := range []struct{ name, columns, rows string }{
		{"cut", columns, `{"s":"x","n":1,"b":t`},
		{"missing key", columns, `{"s":"x","b":true}`},
		{"extra key", columns, `{"s":"x","n":1,"b":true,"z":0}`},
		{"wrong kind", columns, `{"s":"x","n":"1","b":true}`},
		{"null string", columns, `{"s":null,"n":1,"b":true}`},
		{"rows missing", columns, ``},
		{"kind", `{"rows":0,"columns":[{"name":"s","kind":"text"}]}`, ``},
		{"twice", `{"rows":0,"columns":[{"name":"s","kind":"string"},{"name":"s","kind":"bool"}]}`, ``},
		{"no JSON", `rows: 1`, ``},
	} {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, "columns.json"), []byte(c.columns), 0o666)
		os.WriteFile(filepath.Join(dir, "rows.jsonl"), []byte(c.rows), 0o666)
		_, err := frame.Read(dir)
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		fmt.Fprintf(&b, "-- %s --\n%s\n", c.name, strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""))
	}
	r := frame.NewRows([]frame.Column{{Name: "n", Kind: frame.Number}})
	r.SetNumber(r.Add(), "n", math.Inf(1))
	fmt.Fprintf(&b, "-- infinity --\n%v\n", r.Write(t.TempDir()))
	r = frame.NewRows([]frame.Column{{Name: "s"}})
	r.SetString(r.Add(), "s", "a\xff")
	fmt.Fprintf(&b, "-- bytes --\n%v\n", r.Write(t.TempDir()))
	golden(t, "read_errors.txt", b.String())
}

func TestView(t *testing.T) {
	f := given(captions(), "captions")
	show := func(f frame.Frame) view.View {
		t.Helper()
		v, err := f.View(steptest.Run(t, f.Refs()...))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	table := show(f).(view.Table)
	if len(table.Rows) != 6 || table.Footer[0] != "6 rows" || table.Rows[0].Cells[6].Text != "–" {
		t.Errorf("got %+v", table)
	}
	many := f
	many = many.Derive("caption", "repeat('word ', 9)")
	for range 2 {
		many = frame.Stack(many, many.As("again", "yes"))
	}
	if table = show(many).(view.Table); len(table.Rows) != 6 || table.Footer[0] != "6 of 24 rows, long texts cut" {
		t.Errorf("got %d rows, footer %q", len(table.Rows), table.Footer)
	}
	if len(table.Full) != 25 || strings.Join(table.Full[2], "|") != "base||b|films/b.png|reference b|word word word word word word word word word |MRI|0.3333333333333333|1|0.1|false" {
		t.Errorf("the records of a preview: %q", table.Full)
	}
	if got := table.Rows[0].Cells[4].Text; got != "word word word word word word word word…" {
		t.Errorf("a long text is shown as %q", got)
	}

	film := show(f.At("b")).(view.List)[0].(view.List)
	if text := film[0].(view.Text).Markdown; !strings.Contains(text, "**b** (MRI)") || !strings.Contains(text, "films/b.png") {
		t.Errorf("got %q", text)
	}
	table = film[1].(view.Table)
	var got []string
	for _, r := range table.Rows {
		got = append(got, r.Cells[0].Text+": "+r.Cells[1].Text)
	}
	if want := "reference: reference b|base: a \"brain\" <b>\u2028|LoRA: MRI of the brain"; strings.Join(got, "|") != want {
		t.Errorf("got %q", got)
	}

	var asked string
	loaded := f.WithImages(func(ref string) ([]byte, error) { asked = ref; return []byte("PNG"), nil })
	film = show(loaded.Where("true").At("c")).(view.List)[0].(view.List)
	if img := film[1].(view.Image); string(img.PNG) != "PNG" || asked != "films/c.png" {
		t.Errorf("image %q of %q", img.PNG, asked)
	}
	films := show(loaded.Sort("id").Films(2)).(view.List)
	if len(films) != 2 || films[1].(view.List)[0].(view.Text).Markdown != "**b** (MRI)" || len(films[1].(view.List)[2].(view.Table).Rows) != 3 {
		t.Errorf("films: %+v", films)
	}
	broken := f.WithImages(func(string) ([]byte, error) { return nil, os.ErrNotExist }).At("c")
	if _, err := broken.View(steptest.Run(t, broken.Refs()...)); err == nil || !strings.Contains(err.Error(), `image of "c"`) {
		t.Errorf("got %v", err)
	}
}

// Strip gives every example with its captions, whatever the order of the rows.
func TestStrip(t *testing.T) {
	strip := func(f frame.Frame) []view.Film {
		t.Helper()
		films, err := f.Strip(steptest.Run(t, f.Refs()...))
		if err != nil {
			t.Fatal(err)
		}
		return films
	}
	f := given(captions(), "captions")
	films := strip(f)
	var got []string
	for _, x := range films {
		for _, c := range x.Captions {
			got = append(got, x.ID+" "+x.Image+" "+x.Modality+" "+c.Labels[0][0]+"="+c.Labels[0][1]+" "+c.Text)
		}
	}
	if len(films) != 3 || len(got) != 6 || got[2] != "b films/b.png MRI system=base a \"brain\" <b>\u2028" || got[3] != "b films/b.png MRI system=LoRA MRI of the brain" {
		t.Errorf("%d films: %q", len(films), got)
	}
	if s := films[1].Captions[0].Scores; len(s) != 4 || s[0] != [2]string{"ROUGE-1", "0.333"} && s[0][1] != "0.333" {
		t.Errorf("scores %q", s)
	}
	numbers := frame.NewRows([]frame.Column{{Name: "n", Kind: frame.Number}})
	numbers.SetNumber(numbers.Add(), "n", 1)
	if films := strip(given(numbers, "numbers")); films != nil {
		t.Errorf("no captions, yet %d films", len(films))
	}
	if png, err := f.Picture("films/a.png"); png != nil || err != nil {
		t.Errorf("a frame that loads no images gave %q, %v", png, err)
	}
	loaded := f.WithImages(func(ref string) ([]byte, error) { return []byte(ref), nil })
	if png, err := loaded.Picture("x"); string(png) != "x" || err != nil {
		t.Errorf("%q, %v", png, err)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update after reading it):\n%s", path, got)
	}
}
