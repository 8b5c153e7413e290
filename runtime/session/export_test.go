package session

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/recipe"
	"lightbox/runtime/view"
)

func mustLoad(t *testing.T, file string) *recipe.Recipe {
	t.Helper()
	r, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func export(t *testing.T, o Options, x ExportOptions) (*Exported, error) {
	t.Helper()
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s.Export(context.Background(), x)
}

func TestExport(t *testing.T) {
	file, _, _ := outside(t, 0)
	if _, err := export(t, Options{Recipe: file}, ExportOptions{To: "html"}); err == nil || !strings.Contains(err.Error(), "is in the store") || !strings.Contains(err.Error(), "lightbox run "+file+" makes it") {
		t.Errorf("before anything was run: %v", err)
	}
	run(t, Options{Recipe: file}, "captions")
	done, err := export(t, Options{Recipe: file}, ExportOptions{To: "html"})
	if err != nil {
		t.Fatal(err)
	}
	if len(done.Missing) != 2 || !strings.Contains(done.Missing[0], "--only Table") {
		t.Errorf("missing %q", done.Missing)
	}
	page := read(t, done.File)
	if filepath.Base(done.File) != "constant.html" || !strings.Contains(page, "<b>Table</b> is not in the store: Table must run first.") {
		t.Errorf("%s:\n%.3000s", done.File, page)
	}
	run(t, Options{Recipe: file})
	for to, want := range map[string][]string{
		"html":  {"<h1>Files</h1>", "<h2>What is made</h2>", "Made on cpu", "weights tiny-weights (", "<b>ROCO_1</b>", "MRI, &lt;b&gt;brain&lt;/b&gt;", "data:image/png;base64,", "models.Load 1", "var set = data.ROCOv2("},
		"md":    {"# Files", "## What is made", "| tiny-weights |", "](<f-files/film-1-ROCO-1.png>)"},
		"tex":   {"\\section{What is made}", "\\toprule", "f-files/film-2-ROCO-2.png"},
		"ipynb": {`"var set = data.ROCOv2(`, `"text/html"`, `"image/png"`},
	} {
		path := filepath.Join(t.TempDir(), "f."+to)
		done, err := export(t, Options{Recipe: file}, ExportOptions{To: to, Out: path})
		if err != nil || done.File != path || len(done.Missing) > 0 {
			t.Fatal(to, done, err)
		}
		s := read(t, path)
		for _, w := range want {
			if !strings.Contains(s, w) {
				t.Errorf("%s lacks %q", to, w)
			}
		}
		for _, f := range done.Files {
			if _, err := os.Stat(f); err != nil {
				t.Error(err)
			}
		}
		again := filepath.Join(t.TempDir(), "f."+to)
		if _, err := export(t, Options{Recipe: file}, ExportOptions{To: to, Out: again}); err != nil || read(t, again) != s {
			t.Errorf("%s: exported twice, other bytes (%v)", to, err)
		}
	}
	var b bytes.Buffer
	if _, err := export(t, Options{Recipe: file}, ExportOptions{To: "html", Out: "-", Stdout: &b, Films: 1}); err != nil || !strings.Contains(b.String(), "1 of 2 images, evenly spread") || strings.Count(b.String(), "<article") != 2 {
		t.Errorf("%v", err)
	}
}

func TestExportErrors(t *testing.T) {
	file := place(t, constantRecipe)
	run(t, Options{Recipe: file})
	dir := t.TempDir()
	for _, c := range []struct {
		o    ExportOptions
		want string
	}{
		{ExportOptions{To: "htm"}, `unknown format "htm"; want html, md, tex or ipynb; did you mean html`},
		{ExportOptions{To: "docx"}, `unknown format "docx"; want html, md, tex or ipynb`},
		{ExportOptions{To: "md", Fragment: true}, "--fragment is for tex, not md"},
		{ExportOptions{To: "tex", Out: "-"}, "it needs a file"},
		{ExportOptions{To: "html", Films: -1}, "--captions -1"},
		{ExportOptions{To: "html", Out: dir}, "is a directory; name a file"},
		{ExportOptions{To: "html", Out: filepath.Join(dir, "no", "f.html")}, "there is no directory " + filepath.Join(dir, "no")},
		{ExportOptions{To: "md", Out: filepath.Join(dir, "no", "f.md")}, "there is no directory"},
	} {
		if _, err := export(t, Options{Recipe: file}, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
	}
	if _, err := export(t, Options{Recipe: file}, ExportOptions{To: "htm"}); !errors.Is(err, ErrFormat) {
		t.Errorf("%v is no ErrFormat", err)
	}
}

// The same text under more labels is one caption; another system's is not.
func TestJoinCaptions(t *testing.T) {
	c := func(text, image string, scores int, labels ...[2]string) view.Caption {
		return view.Caption{Text: text, Image: image, Labels: labels, Scores: make([][2]string, scores)}
	}
	base, lora, plain := [2]string{"system", "base"}, [2]string{"system", "LoRA"}, [2]string{"prompt", "plain"}
	got := joinCaptions(nil, []view.Caption{c("a", "i", 0, base), c("a", "i", 0, lora)})
	got = joinCaptions(got, []view.Caption{c("a", "i", 2, base, plain), c("a", "j", 0, lora), c("b", "i", 0, lora)})
	if len(got) != 4 || len(got[0].Labels) != 2 || len(got[0].Scores) != 2 || got[1].Labels[0] != lora || len(got[1].Labels) != 1 {
		t.Errorf("%+v", got)
	}
}

func plainText(t *testing.T, v view.View) string {
	t.Helper()
	var b bytes.Buffer
	if err := PrintAs(&b, Shown{View: v}, "txt"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDiff(t *testing.T) {
	file := place(t, constantRecipe)
	side := func(set map[string]string) *Side {
		s, err := Open(context.Background(), Options{Recipe: file, Set: set})
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.Side(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	other := map[string]string{"train": "2"}
	run(t, Options{Recipe: file})
	got := plainText(t, Diff(side(nil), side(other), 3))
	for _, want := range []string{"parameter Train", "40", "so do Table, captions, test", "Not in the store of B, so not compared: Table (`lightbox run " + file} {
		if !strings.Contains(got, want) {
			t.Errorf("before B was run, lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "Numbers") {
		t.Errorf("numbers of one side only:\n%s", got)
	}
	run(t, Options{Recipe: file, Set: other})
	got = plainText(t, Diff(side(nil), side(other), 3))
	for _, want := range []string{"--set train", "Numbers\n", "constant / ROUGE-1", "Captions\n", "phantom1_test_0000", "3 shown; 0 are in A only, 0 in B only"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if got = plainText(t, Diff(side(nil), side(nil), 3)); !strings.Contains(got, "Nothing differs.") || !strings.Contains(got, "24 captions") {
		t.Errorf("with itself:\n%s", got)
	}
	s, err := Open(context.Background(), Options{Recipe: file})
	if err != nil {
		t.Fatal(err)
	}
	committed, err := s.Committed()
	if err != nil {
		t.Fatal(err)
	}
	if got = plainText(t, Diff(committed, side(nil), 3)); !strings.Contains(got, "Nothing differs.") {
		t.Errorf("the lock file and the recipe:\n%s", got)
	}
	if _, err := LockSide(filepath.Join(t.TempDir(), "x.lock.yaml")); err == nil || !strings.Contains(err.Error(), "no such lock file") {
		t.Errorf("%v", err)
	}
}

func TestSmall(t *testing.T) {
	for _, c := range []struct{ w, h, wantW, wantH int }{{24, 16, 24, 16}, {640, 10, 640, 10}, {1000, 500, 640, 320}, {3, 2000, 1, 640}} {
		var b bytes.Buffer
		if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, c.w, c.h))); err != nil {
			t.Fatal(err)
		}
		got, format, err := image.DecodeConfig(bytes.NewReader(small(b.Bytes())))
		if err != nil || got.Width != c.wantW || got.Height != c.wantH || (format == "png") != (c.w == c.wantW && c.h == c.wantH) {
			t.Errorf("%d × %d: %s of %d × %d, %v", c.w, c.h, format, got.Width, got.Height, err)
		}
	}
	if raw := []byte("no picture"); !bytes.Equal(small(raw), raw) {
		t.Error("what is no picture was changed")
	}
}
