package data

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/vision"
)

// reader runs a set and opens its artifact.
func reader(t *testing.T, s Set) *Reader {
	t.Helper()
	r, err := Open(steptest.Run(t, s.Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// failure runs a set that must fail and returns the error's text.
func failure(t *testing.T, s Set) string {
	t.Helper()
	_, err := steptest.Try(t, context.Background(), s.Ref())
	if err == nil {
		t.Fatal("no error")
	}
	return err.Error()
}

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func pngOf(t *testing.T) string {
	t.Helper()
	return string(vision.EncodePNG(vision.New(4, 3)))
}

// roco lays out a small data set in ROCOv2's form, with the given captions tables.
func roco(t *testing.T, tables map[string]string, images ...string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range tables {
		put(t, dir, name, text)
	}
	for _, im := range images {
		put(t, dir, im, pngOf(t))
	}
	return dir
}

func TestROCOv2(t *testing.T) {
	dir := roco(t, map[string]string{
		"train_captions.csv":        "\ufeffID,Caption\na,\" CT, axial\"\nb,MRI of it\n",
		"test_captions.csv":         "ID,Caption\nc,\"a \"\"quoted\"\" line\nof two\"\n",
		"train_concepts_manual.csv": "ID,CUIs\na,C0040405\nb,\n",
		"train_concepts.csv":        "ID,Cuis\na,C0040405;C0000726\nb,C0024485\n",
	}, "train/a.png", "train/b.jpg.png", "train/b.png", "test_images/c.png")
	r := reader(t, ROCOv2(dir))
	if r.Len() != 3 {
		t.Fatalf("%d examples, want 3", r.Len())
	}
	a, b, c := r.Example(0), r.Example(1), r.Example(2)
	if a.Caption != " CT, axial" || a.Modality != "CT" || fmt.Sprint(a.CUIs) != "[C0040405 C0000726]" {
		t.Errorf("a is %+v", a)
	}
	if b.Modality != "" || fmt.Sprint(b.CUIs) != "[C0024485]" {
		t.Errorf("b is %+v; an empty manual cell knows no modality", b)
	}
	if c.Split != "test" || c.Caption != "a \"quoted\" line\nof two" || !step.IsFileRef(c.Image) || !strings.HasSuffix(c.Image, "/c.png") {
		t.Errorf("c is %+v", c)
	}
	if im, err := r.Image(0); err != nil || im.W != 4 || im.H != 3 {
		t.Errorf("image of a: %v, %v", im, err)
	}
}

func TestModalityOf(t *testing.T) {
	for _, c := range []struct{ cuis, want string }{
		{"", ""}, {"C0040405", "CT"}, {"C1306645;C0817096", "Radiograph"}, {"C0817096", "Other"},
		{"C0040405;C0032743", "Other"}, {"C0041618;C0041618", "Ultrasound"}, {"C0024485", "MRI"}, {"C0002978", "Other"},
	} {
		var cuis []string
		if c.cuis != "" {
			cuis = strings.Split(c.cuis, ";")
		}
		if got := ModalityOf(cuis); got != c.want {
			t.Errorf("ModalityOf(%s) = %q, want %q", c.cuis, got, c.want)
		}
	}
}

// All bad rows are reported together, each with its file and line; the policy skips and counts them.
func TestBadRows(t *testing.T) {
	dir := roco(t, map[string]string{
		"train_captions.csv": "ID,Caption\nok,fine\n,no id\nok,again\nempty,  \nlost,no image\nbroken,not a picture\nshort\n",
	}, "train/ok.png", "train/empty.png")
	put(t, dir, "train/broken.jpg", "\xff\xd8\xff\xe0 this is no JPEG")
	got := failure(t, ROCOv2(dir))
	for _, want := range []string{
		"6 bad rows", "SkipBadRows", "train_captions.csv:3: column ID is empty", "train_captions.csv:4: ok: ID appears before, at ",
		"train_captions.csv:5: empty: column Caption is empty", "train_captions.csv:6: lost: no image lost.jpg or .png",
		"train_captions.csv:7: broken: ", "train_captions.csv:8: 1 columns, want 2",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("error lacks %q:\n%s", want, got)
		}
	}
	r := reader(t, ROCOv2(dir, ROCOOptions{BadRows: SkipBadRows}))
	if r.Len() != 1 || len(r.Meta.Skipped) != 6 {
		t.Errorf("with SkipBadRows: %d examples, %d skipped; want 1 and 6", r.Len(), len(r.Meta.Skipped))
	}
}

// Mistakes that a plan finds before it runs.
func TestErrorsOfThePlan(t *testing.T) {
	parent := t.TempDir()
	put(t, parent, "radsample/train_captions.csv", "ID,Captions\na,b\n")
	put(t, parent, "empty/readme.txt", "")
	put(t, parent, "jsonl/metadata.jsonl", "")
	good := Phantom(PhantomOptions{Train: 2})
	for _, c := range []struct {
		name string
		set  Set
		want string
	}{
		{"missing directory", ROCOv2(filepath.Join(parent, "radsampel")), "did you mean " + filepath.Join(parent, "radsample") + "?"},
		{"a file", ROCOv2(filepath.Join(parent, "empty/readme.txt")), "is a file; want the data directory"},
		{"no tables", ROCOv2(filepath.Join(parent, "empty")), "holds none of train_captions.csv"},
		{"no column Caption", ROCOv2(filepath.Join(parent, "radsample")), `train_captions.csv:1: no column "Caption", the header has ["ID" "Captions"]; is "Captions" meant?`},
		{"folder without table", Folder(filepath.Join(parent, "empty")), "holds none of metadata.jsonl"},
		{"split", good.Split("tset"), `no split "tset": splits are train, valid and test; did you mean "test"?`},
		{"filter field", good.Where("modalty == 'CT'"), "unknown name modalty"},
		{"filter type", good.Where("len(caption)"), "expected bool"},
		{"filter with now", good.Where("now() != now()"), "unknown name now"},
		{"no image", Images(filepath.Join(parent, "x.png")), "no image file"},
		{"no images", Images(), "no image named"},
		{"phantoms of no number", Phantom(PhantomOptions{}), "set Train, Valid or Test"},
		{"phantoms too small", Phantom(PhantomOptions{Train: 1, Size: 3}), "Size is 3: want 16 to 1024"},
		{"take none", good.Take(0), "cannot take 0"},
	} {
		if got := failure(t, c.set); !strings.Contains(got, c.want) {
			t.Errorf("%s: error lacks %q:\n%s", c.name, c.want, got)
		}
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a.png", pngOf(t))
	put(t, dir, "sub/b.png", pngOf(t))
	put(t, dir, "metadata.jsonl", `{"file_name":"a.png","text":"one","site":"x"}`+"\n\n"+`{"file_name":"sub/b.png","caption":"two","split":"test","modality":"CT","id":"B"}`+"\n")
	r := reader(t, Folder(dir))
	if r.Len() != 2 || r.Example(0).ID != "a" || r.Example(0).Fields["site"] != "x" || r.Example(1).ID != "B" || r.Example(1).Split != "test" {
		t.Fatalf("got %+v", r.examples)
	}
	put(t, dir, "metadata.jsonl", `{"filename":"a.png","text":"one"}`+"\n"+`{"file_name":"c.png","text":"x"}`+"\n{\n"+`{"file_name":"a.png","captoin":"one"}`+"\n")
	got := failure(t, Folder(dir))
	for _, want := range []string{`metadata.jsonl:1: no key file_name; is "filename" meant?`, "metadata.jsonl:2: c: no image", "metadata.jsonl:3: not a JSON object", `metadata.jsonl:4: a.png: no key caption or text; is "captoin" meant?`} {
		if !strings.Contains(got, want) {
			t.Errorf("error lacks %q:\n%s", want, got)
		}
	}
}

func TestDerivedSets(t *testing.T) {
	set := Phantom(PhantomOptions{Train: 40, Test: 10, Seed: 3})
	train := reader(t, set.Split("train"))
	if train.Len() != 40 {
		t.Fatalf("train has %d", train.Len())
	}
	ct := reader(t, set.Where("modality == 'CT' && split == 'train'"))
	for i := range ct.Len() {
		if ct.Example(i).Modality != "CT" {
			t.Errorf("%s is %s", ct.Example(i).ID, ct.Example(i).Modality)
		}
	}
	if s := reader(t, set.Sample(5, 1)); s.Len() != 5 {
		t.Errorf("a sample of 5 has %d", s.Len())
	}
	if a, b := reader(t, set.Sample(5, 1)), reader(t, set.Sample(5, 2)); fmt.Sprint(a.examples) == fmt.Sprint(b.examples) {
		t.Error("two seeds give one sample")
	}
	shuffled := reader(t, set.Split("train").ShuffleImages(1))
	images := map[string]bool{}
	for i := range train.Len() {
		if shuffled.Example(i).Image == train.Example(i).Image {
			t.Errorf("example %d kept its image", i)
		}
		if shuffled.Example(i).Caption != train.Example(i).Caption {
			t.Errorf("example %d lost its caption", i)
		}
		images[shuffled.Example(i).Image] = true
	}
	if len(images) != 40 {
		t.Errorf("%d distinct images after shuffling 40", len(images))
	}
}

func TestJoin(t *testing.T) {
	a, b := Phantom(PhantomOptions{Train: 3, Seed: 1, Reports: 2, Glossary: 2}), Phantom(PhantomOptions{Train: 2, Valid: 1, Seed: 2})
	r := reader(t, Join(a, b))
	if r.Len() != 10 {
		t.Errorf("%d examples, want 10", r.Len())
	}
	if counts, exact := Count(Join(a, b).Ref()); !exact || counts["train"] != 9 || counts["valid"] != 1 {
		t.Errorf("counted %v, exact %v", counts, exact)
	}
	if got := failure(t, Join(a, a)); !strings.Contains(got, "example phantom1_train_000000 of split train is in") {
		t.Errorf("error is %s", got)
	}
	if got := failure(t, Join()); !strings.Contains(got, "no set to join") {
		t.Errorf("error is %s", got)
	}
}

// Every slot of every sentence has words, and a report is a function of seed and index.
func TestReports(t *testing.T) {
	for i := range 500 {
		_, text := report(3, i)
		if strings.ContainsAny(text, "#{}") || len(text) < 20 {
			t.Fatalf("report %d: %q", i, text)
		}
		if _, again := report(3, i); again != text {
			t.Fatalf("report %d differs from itself", i)
		}
	}
}

type fixedHint string

func (fixedHint) ModalityName() string { return "fixed" }
func (h fixedHint) ModalityRef(of Set) step.Ref {
	op := &step.Op{Name: "test.hint", Version: "1", Run: func(ctx *step.Context, dir string) error {
		r, err := Open(ctx.Input(0))
		if err != nil {
			return err
		}
		var b bytes.Buffer
		for i := range r.Len() {
			fmt.Fprintf(&b, "{\"id\":%q,\"modality\":%q}\n", r.Example(i).ID, string(h))
		}
		return os.WriteFile(filepath.Join(dir, HintFile), b.Bytes(), 0o644)
	}}
	return step.New(op, string(h), of.Ref())
}

func TestAsk(t *testing.T) {
	r := reader(t, Phantom(PhantomOptions{Test: 3}).WithModality(fixedHint("CT")))
	if got := r.Example(1).Ask("Describe the image."); got != "CT: Describe the image." {
		t.Errorf("asked %q", got)
	}
	if r.Meta.HintsFrom != "fixed" {
		t.Errorf("hints come from %q", r.Meta.HintsFrom)
	}
	if got := (Example{Prompt: "What?"}).Ask("Describe the image."); got != "What?" {
		t.Errorf("asked %q", got)
	}
}

// The pictures are part of the embedded checkpoint's provenance: these bytes may change only with phantomVersion.
func TestPhantomBytes(t *testing.T) {
	h := sha256.New()
	for i := range 64 {
		p := newPhantom(7, i, 64)
		h.Write(p.draw().Pix)
		fmt.Fprintln(h, p.radiology(), p.plain())
	}
	const want = "24a1a8b89aff61f23eab59c412a643d5797c9608769d56998356b58fec6524b4"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("64 phantoms hash to %s, want %s", got, want)
	}
}

// A phantom's picture shows what its caption says: the finding lies on the stated side, at the stated size.
func TestPhantomTruth(t *testing.T) {
	for i := range 400 {
		p := newPhantom(11, i, 64)
		if left := p.X > 0; left != (p.Side == "left") {
			t.Fatalf("phantom %d: x %.2f is called %s", i, p.X, p.Side)
		}
		for _, caption := range []string{p.radiology(), p.plain()} {
			if !strings.Contains(caption, p.Side) {
				t.Errorf("phantom %d: %q does not name the side %s", i, caption, p.Side)
			}
		}
		for _, word := range []string{p.Anatomy, p.Finding, modalityNoun[p.Modality], fmt.Sprint(p.MM, " mm"), p.Marker} {
			if !strings.Contains(p.radiology(), word) {
				t.Errorf("phantom %d: %q does not say %q", i, p.radiology(), word)
			}
		}
		if p.Finding == "mass" && p.Modality != "Ultrasound" { // the disc's area is that of its diameter
			with, bare := p, p
			bare.Finding, bare.Marker, with.Marker = "none", "", ""
			with.noise, bare.noise = newPhantom(11, i, 64).noise, newPhantom(11, i, 64).noise
			a, b := with.draw(), bare.draw()
			white, sum := 0, 0.0
			for k := 0; k < len(a.Pix); k += 3 {
				if a.Pix[k] != b.Pix[k] && a.Pix[k] > 240 {
					white++
					sum += float64(k/3%64) - 31.5
				}
			}
			radius := float64(p.MM) / 2 / mmPerUnit * 32
			if area := 3.1416 * radius * radius; float64(white) < 0.5*area || float64(white) > 1.4*area+4 {
				t.Errorf("phantom %d: %d mm cover %d pixels, want about %.0f", i, p.MM, white, area)
			}
			if (sum > 0) != (p.Side == "left") {
				t.Errorf("phantom %d: drawn on the wrong side", i)
			}
		}
	}
}

func TestPhantomPrefix(t *testing.T) {
	small, large := reader(t, Phantom(PhantomOptions{Train: 3, Seed: 5})), reader(t, Phantom(PhantomOptions{Train: 9, Test: 2, Seed: 5}))
	for i := range 3 {
		if fmt.Sprint(small.Example(i)) != fmt.Sprint(large.Example(i)) {
			t.Errorf("example %d differs in a larger set", i)
		}
	}
}

func shared(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("LIGHTBOX_SHARED"); dir != "" {
		return dir
	}
	dir, _ := os.Getwd()
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "shared", "data", "radsample")); err == nil {
			return filepath.Join(dir, "shared")
		}
	}
	t.Skip("real images are not here: set LIGHTBOX_SHARED to the folder that holds data/radsample")
	return ""
}

func TestRadsample(t *testing.T) {
	dir := filepath.Join(shared(t), "data", "radsample")
	r := reader(t, ROCOv2(dir, ROCOOptions{TrustImages: testing.Short()}))
	counts := map[string]int{}
	for i := range r.Len() {
		counts[r.Example(i).Split]++
		if r.Example(i).Modality == "" {
			t.Errorf("%s has no modality", r.Example(i).ID)
		}
	}
	if counts["train"] != 368 || counts["valid"] != 76 || counts["test"] != 96 {
		t.Errorf("splits have %v, want 368, 76 and 96", counts)
	}
	t.Log(r.Meta.Warnings)
}

func BenchmarkPhantom(b *testing.B) {
	for i := 0; b.Loop(); i++ {
		p := newPhantom(1, i, 64)
		p.draw()
	}
}

// TestMovedFolder: an artifact holds no paths, so it serves a copy of its files elsewhere, byte for byte.
func TestMovedFolder(t *testing.T) {
	lay := func() string {
		return roco(t, map[string]string{"train_captions.csv": "ID,Caption\na,CT of it\n", "test_captions.csv": "ID,Caption\nb,MRI of it\n"}, "train/a.png", "test/b.png")
	}
	here, there := lay(), lay()
	a, b := steptest.Run(t, ROCOv2(here).Ref())[0], steptest.Run(t, ROCOv2(there).Ref())[0]
	for _, name := range []string{examplesFile, metaFile} {
		x, err1 := os.ReadFile(filepath.Join(a, name))
		y, err2 := os.ReadFile(filepath.Join(b, name))
		if err1 != nil || err2 != nil || string(x) != string(y) {
			t.Errorf("%s depends on the folder:\n%s\n%s", name, x, y)
		}
	}
	if err := os.RemoveAll(here); err != nil {
		t.Fatal(err)
	}
	r, err := Open(a) // made from the folder that is gone
	if err != nil {
		t.Fatal(err)
	}
	if im, err := r.Image(1); err != nil || im.W != 4 {
		t.Errorf("image of the copy: %v, %v", im, err)
	}
}
