package lock

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/store"
	"lightbox/runtime/view"
)

func table() view.Table {
	return view.Table{
		Header: [][]view.Cell{{{Text: "System"}, {Text: "Prompt"}, {Text: "ROUGE", Span: 2}, {Text: "n"}}, {{}, {}, {Text: "1"}, {Text: "L"}, {}}},
		Rows: []view.Row{
			{Group: true, Cells: []view.Cell{{Text: "radsample", Span: 5}}},
			{Cells: []view.Cell{{Text: "base"}, {Text: "plain"}, {Text: ".251"}, {Text: "0.2 [0.1, 0.3]"}, {Text: "96"}}},
			{Cells: []view.Cell{{Text: "LoRA 16"}, {Text: ""}, {Text: "87.5%"}, {Text: "-"}, {Text: "96"}}},
			{Cells: []view.Cell{{}, {}, {Text: "[80, 92]", Dim: true}, {}, {}}},
		},
	}
}

func TestNumbers(t *testing.T) {
	got := Numbers(view.List{view.Text{Markdown: "3"}, table()})
	want := map[string]string{
		"radsample / base / plain / ROUGE 1": ".251",
		"radsample / base / plain / ROUGE L": "0.2 [0.1, 0.3]",
		"radsample / base / plain / n":       "96",
		"radsample / LoRA 16 / ROUGE 1":      "87.5% [80, 92]",
		"radsample / LoRA 16 / n":            "96",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	if Numbers(view.Text{Markdown: "1"}) != nil {
		t.Error("a text has numbers")
	}
}

func manifest(file string) *store.Manifest {
	return &store.Manifest{Op: "train.LoRA", Version: "1", Key: step.Key{1}, Plan: step.Key{2}, Device: "cpu", ISA: "avx2", Lightbox: "v1",
		Params: []byte("{\n  \"Rank\": 8\n}"),
		Files:  []store.File{{Name: "a", Size: 1, SHA256: file}}}
}

func TestWriteRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock.yaml")
	f := New("x", 3, map[string]string{"dir": "/d"})
	f.Entries["b"] = Step(manifest("11"), []store.Source{{Path: "/x", Size: 1, SHA256: "22"}})
	f.Entries["Table"] = Entry{Numbers: Numbers(table())}
	if err := f.Write(path); err != nil {
		t.Fatal(err)
	}
	back, err := Read(path)
	if err != nil || !reflect.DeepEqual(back, f) {
		t.Errorf("read back %+v, %v", back, err)
	}
	raw, _ := os.ReadFile(path)
	if s := string(raw); !strings.HasPrefix(s, "# Written by") || strings.Index(s, "Table:") > strings.Index(s, "  b:") || strings.Contains(s, "/x") {
		t.Errorf("file:\n%s", s)
	}
	before, _ := os.Stat(path)
	if err := f.Write(path); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(path); !os.SameFile(before, after) {
		t.Error("an unchanged lock was written again")
	}
	if err := os.WriteFile(path, []byte("format: 1\nnonsense: 2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "not a lock file") {
		t.Errorf("got %v", err)
	}
}

func TestCompare(t *testing.T) {
	seed1, seed2 := uint64(1), uint64(2)
	base := Step(manifest("11"), []store.Source{{Path: "/x", SHA256: "22"}})
	base.Seed = &seed1
	base.Numbers = map[string]string{"r / c": "0.50"}
	for _, c := range []struct {
		name   string
		change func(f *File, e *Entry)
		want   Verdict
		why    string
	}{
		{"same", func(*File, *Entry) {}, Same, ""},
		{"bits", func(_ *File, e *Entry) { e.Content = "ff" }, Differs, "both made on cpu avx2"},
		{"other device", func(_ *File, e *Entry) { e.Content = "ff"; e.Device = "cuda sm_90" }, Close, "made on cuda sm_90"},
		{"other device, numbers near", func(_ *File, e *Entry) {
			e.Content, e.Device, e.Numbers = "ff", "cuda sm_90", map[string]string{"r / c": "0.503"}
		}, Close, ""},
		{"other device, numbers off", func(_ *File, e *Entry) {
			e.Content, e.Device, e.Numbers = "ff", "cuda sm_90", map[string]string{"r / c": "0.55"}
		}, Differs, "r / c: 0.50 in the lock, 0.55 now"},
		{"same device, numbers off", func(_ *File, e *Entry) { e.Numbers = map[string]string{"r / c": "0.503"} }, Differs, "r / c"},
		{"number gone", func(_ *File, e *Entry) { e.Numbers = nil }, Differs, "nothing now"},
		{"version", func(_ *File, e *Entry) { e.Key, e.Version = "x", "2" }, Changed, "has version 1 in the lock, 2 now"},
		{"file", func(_ *File, e *Entry) { e.Key, e.Sources, e.Files = "x", "y", map[string]string{"x": "33"} }, Changed, "file x changed"},
		{"file of many", func(_ *File, e *Entry) { e.Key, e.Sources, e.Files = "x", "y", nil }, Changed, "the content of its files changed"},
		{"one more file", func(_ *File, e *Entry) {
			e.Key, e.Sources, e.Files = "x", "y", map[string]string{"x": "22", "z/y": "33"}
		}, Changed, "file y was added"},
		{"no files any more", func(_ *File, e *Entry) { e.Key, e.Sources, e.Files = "x", "", nil }, Changed, "reads no files from outside any more"},
		{"parameter", func(_ *File, e *Entry) { e.Key, e.Plan, e.Params = "x", "y", `{"Rank":16}` }, Changed, "parameter Rank 8 → 16"},
		{"seed", func(f *File, e *Entry) { e.Key, e.Seed, f.Seed = "x", &seed2, 2 }, Changed, "seed 1 in the lock, 2 now"},
		{"input's file", func(_ *File, e *Entry) { e.Key = "x" }, Changed, "what it is made from changed"},
	} {
		lock, now := New("x", 1, nil), New("x", 1, nil)
		lock.Entries["v"] = base
		e := base
		c.change(now, &e)
		now.Entries["v"] = e
		got := Compare(lock, now)
		if len(got) != 1 || got[0].Verdict != c.want || !strings.Contains(strings.Join(got[0].Why, "; "), c.why) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	lock, now := New("x", 1, nil), New("x", 1, nil)
	lock.Entries["gone"], now.Entries["fresh"] = base, base
	if got := Compare(lock, now); len(got) != 2 || got[0].OK() || got[1].OK() {
		t.Errorf("got %+v", got)
	}
}

func TestAgree(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"0.500", "0.504", true}, {"0.500", "0.51", false}, {"0.61 [0.58, 0.64]", "0.63", true}, {"0.61 [0.58, 0.64]", "0.65", false},
		{"61 ± 2", "62.9", true}, {"61 ± 2", "64", false}, {"x", "1", false}, {"87.5%", "87.6%", true},
	} {
		if got := agree(c.a, c.b); got != c.want {
			t.Errorf("agree(%q, %q) = %v", c.a, c.b, got)
		}
	}
}

func TestMerge(t *testing.T) {
	old, f := New("x", 1, nil), New("x", 1, nil)
	for _, n := range []string{"kept", "list[1]", "gone", "fresh"} {
		old.Entries[n] = Entry{Op: "old"}
	}
	f.Entries["fresh"] = Entry{Op: "new"}
	old.Entries["same"], f.Entries["same"] = Entry{Key: "k", Numbers: map[string]string{"a": "1"}}, Entry{Key: "k"}
	f.Merge(old, func(v string) bool { return v != "gone" })
	if len(f.Entries) != 4 || f.Entries["same"].Numbers["a"] != "1" || f.Entries["fresh"].Op != "new" || f.Entries["list[1]"].Op != "old" {
		t.Errorf("got %+v", f.Entries)
	}
}

// Files are known by their paths below their common directory, wherever that lies.
func TestFiles(t *testing.T) {
	list := func(dir string, n int, sum string) []store.Source {
		var out []store.Source
		for i := range n {
			out = append(out, store.Source{Path: fmt.Sprintf("%s/%d/a.png", dir, i), SHA256: "0123456789abcdef"})
		}
		out[n-1].SHA256 = sum
		return out
	}
	key := step.Key{9}
	for _, n := range []int{2, maxFiles, maxFiles + 1, 500} {
		lock, now := New("x", 1, nil), New("x", 1, nil)
		e := Step(manifest("11"), list("/old/place", n, "aa"))
		e.Key = key.String()
		if (e.Files != nil) != (n <= maxFiles) {
			t.Errorf("%d files: the lock names %d", n, len(e.Files))
		}
		e.sources = nil // as it is read from a file
		lock.Entries["v"] = e
		f := Step(manifest("11"), list("/new", n, "bb"))
		f.Key = "x"
		now.Entries["v"] = f
		if n > maxFiles {
			if why := Compare(lock, now)[0].Why; why[0] != "the content of its files changed" {
				t.Errorf("%d files, without a store: %q", n, why)
			}
		}
		lock.Recall(func(k step.Key) []store.Source {
			if k != key {
				t.Errorf("asked for %v", k)
			}
			return list("/old/place", n, "aa")
		})
		if why := Compare(lock, now)[0].Why; len(why) != 1 || why[0] != "file a.png changed" {
			t.Errorf("%d files: %q", n, why)
		}
		d := Diff(lock, now)
		if want := fmt.Sprintf("file %d/a.png", n-1); len(d.Causes) != 1 || d.Causes[0] != (Pair{"v", want, "aa", "bb"}) {
			t.Errorf("%d files: %+v", n, d.Causes)
		}
	}
}

func TestNameInputs(t *testing.T) {
	lock, now := New("x", 1, nil), New("x", 1, nil)
	for _, name := range []string{"set", "base", "captions[0]", "captions[1]", "Table"} {
		lock.Entries[name] = Entry{Op: "o", Key: "k", Content: "c"}
		now.Entries[name] = Entry{Op: "o", Key: "other", Content: "c"}
	}
	now.Entries["base"] = Entry{Op: "o", Key: "other", Params: `{"Rank":1}`}
	now.Entries["set"] = lock.Entries["set"]
	now.Entries["captions[0]"] = now.Entries["captions[0]"].From("base", "set")
	now.Entries["captions[1]"] = now.Entries["captions[1]"].From("captions")
	now.Entries["Table"] = now.Entries["Table"].From("captions", "captions")
	want := map[string]string{"Table": "it is made from captions, which changed", "base": "parameter Rank default → 1",
		"captions[0]": "it is made from base, which changed", "captions[1]": "an earlier step of it changed", "set": ""}
	for _, f := range Compare(lock, now) {
		if got := strings.Join(f.Why, "; "); got != want[f.Name] {
			t.Errorf("%s: %q, want %q", f.Name, got, want[f.Name])
		}
	}
}

func TestDiff(t *testing.T) {
	a, b := New("x", 1, nil), New("x", 2, map[string]string{"rank": "16"})
	seed := uint64(1)
	base := Entry{Op: "models.Load", Version: "1", Key: "k", Content: "c", Device: "cpu avx2", Lightbox: "1"}
	lora := Entry{Op: "train.LoRA", Version: "1", Params: `{"LoRA":{"Rank":8},"F":"func a"}`, Key: "l", Content: "d", Seed: &seed, Device: "cpu avx2", Lightbox: "1"}
	table := Entry{Op: "table.New", Version: "1", Key: "t", Content: "e", Numbers: map[string]string{"r / c": "0.5", "r / d": "0.1"}}
	a.Entries = map[string]Entry{"base": base, "tuned": lora, "Table": table, "gone": base, "bits": base}
	bits := base
	bits.Content, bits.Device = "z", "cuda sm_90"
	lora.Params, lora.Key, lora.Version = `{"LoRA":{"Rank":16},"F":"func b"}`, "m", "2"
	table.Key, table.Numbers = "u", map[string]string{"r / c": "0.6", "r / d": "0.1"}
	b.Entries = map[string]Entry{"base": base, "tuned": lora, "Table": table, "fresh": base, "bits": bits}
	got := Diff(a, b)
	want := Difference{
		Causes: []Pair{{"", "seed", "1", "2"}, {"", "--set rank", "default", "16"}, {"bits", "device", "cpu avx2", "cuda sm_90"}, {"fresh", "step", "", "models.Load"}, {"gone", "step", "models.Load", ""},
			{"tuned", "version of train.LoRA", "1", "2"}, {"tuned", "function F", `"func a"`, `"func b"`}, {"tuned", "parameter LoRA.Rank", "8", "16"}},
		Results:      []Pair{{"bits", "content", "c on cpu avx2", "z on cuda sm_90"}},
		Numbers:      []Pair{{"Table", "r / c", "0.5", "0.6"}},
		Follow:       []string{"Table"},
		EqualEntries: 1, EqualNumbers: 1,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if d := Diff(a, a); !d.None() || d.EqualEntries != 5 || d.EqualNumbers != 2 {
		t.Errorf("with itself: %+v", d)
	}
}
