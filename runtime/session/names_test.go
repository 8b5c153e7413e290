package session

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/lock"
)

// outsideRecipe reads everything that can change under a recipe: weights, images,
// captions, and an option.
const outsideRecipe = `// Outside: a recipe of files.
//
//	title: Files
package constant

import (
	"lightbox/stdlib/data"
	"lightbox/stdlib/generate"
	"lightbox/stdlib/models"
	"lightbox/stdlib/score"
	"lightbox/stdlib/table"
)

// %% What is read

var set = data.ROCOv2("ROCO").Split("test")

var model = models.Load("WEIGHTS")

// %% What is made

var captions = generate.Captions(model, set, generate.Greedy(2))

var Table = table.New(score.Captions(captions, score.ROUGE1()), table.Rows("system"))

var Film = captions.At("ROCO_2")
`

// outside writes the recipe, a checkpoint and a set of two images. many adds as
// many training images.
func outside(t *testing.T, many int) (file, weights, roco string) {
	t.Helper()
	root := t.TempDir()
	weights, roco = filepath.Join(root, "tiny-weights"), filepath.Join(root, "roco")
	if err := os.CopyFS(weights, os.DirFS(filepath.Join("..", "..", "stdlib", "models", "tiny"))); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"test", "train"} {
		if err := os.MkdirAll(filepath.Join(roco, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(roco, "test_captions.csv"), "ID,Caption\nROCO_1,CT of the chest\nROCO_2,\"MRI, <b>brain</b>\"\n")
	picture(t, filepath.Join(roco, "test", "ROCO_1.png"), 10)
	picture(t, filepath.Join(roco, "test", "ROCO_2.png"), 90)
	if many > 0 {
		var csv strings.Builder
		csv.WriteString("ID,Caption\n")
		for i := range many {
			id := "T_" + string(rune('a'+i/26)) + string(rune('a'+i%26))
			csv.WriteString(id + ",a picture\n")
			picture(t, filepath.Join(roco, "train", id+".png"), uint8(i))
		}
		write(t, filepath.Join(roco, "train_captions.csv"), csv.String())
	}
	return place(t, strings.NewReplacer("ROCO\"", roco+"\"", "WEIGHTS", weights).Replace(outsideRecipe)), weights, roco
}

func picture(t *testing.T, file string, grey uint8) {
	t.Helper()
	im := image.NewGray(image.Rect(0, 0, 24, 16))
	for i := range im.Pix {
		im.Pix[i] = grey
	}
	im.SetGray(3, 4, color.Gray{Y: 200})
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	write(t, file, b.String())
}

// reasons are what verification, before it runs anything, and a plan say of each variable.
func reasons(t *testing.T, file string) (verify, plan map[string]string) {
	t.Helper()
	ctx := context.Background()
	s, err := Open(ctx, Options{Recipe: file})
	if err != nil {
		t.Fatal(err)
	}
	old, err := s.readLock()
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Plan(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	verify, plan = map[string]string{}, map[string]string{}
	old.Recall(s.recall)
	for _, f := range lock.Compare(old, s.outline(p, nil)) {
		if f.Verdict == lock.Changed {
			verify[f.Name] = strings.Join(f.Why, "; ")
		}
	}
	for _, it := range p.Running() {
		if plan[it.Name()] == "" {
			plan[it.Name()] = strings.Join(it.Because, ", ")
		}
	}
	return verify, plan
}

// Whatever changes is named, by verify and by plan.
func TestChangesAreNamed(t *testing.T) {
	file, weights, roco := outside(t, 0)
	out := run(t, Options{Recipe: file})
	for _, c := range []struct {
		name         string
		path         string
		from, to     string // in the file at path; from "" flips its last byte
		verify, plan string // of the variable: "variable: text"
		follow       string // another entry that says what it follows from
	}{
		{"weights", filepath.Join(weights, "model.safetensors"), "", "", "model: file model.safetensors changed", "model: file model.safetensors changed", "captions[0]: it is made from model, which changed"},
		{"a weight file's name", filepath.Join(weights, "tokenizer.json"), `"version"`, `"version" `, "model: file tokenizer.json changed", "model: file tokenizer.json changed", ""},
		{"image", filepath.Join(roco, "test", "ROCO_2.png"), "", "", "set[0]: file ROCO_2.png changed", "set: file ROCO_2.png changed", "captions[0]: it is made from set, which changed"},
		{"caption", filepath.Join(roco, "test_captions.csv"), "CT of", "MRI of", "set[0]: file test_captions.csv changed", "set: file test_captions.csv changed", ""},
		{"option", file, "Greedy(2)", "Greedy(3)", "captions[0]: parameter Options.MaxNewTokens 2 → 3", "captions: parameter Options.MaxNewTokens 2 → 3", "Table[0]: it is made from captions, which changed"},
		{"metric", file, "ROUGE1()", "ROUGEL()", "Table[0]: parameter Measures", "Table: parameter Measures", ""},
		{"version", lock.Path(file), "op: generate.Captions\n    version: \"1\"", "op: generate.Captions\n    version: \"0\"", "captions[0]: generate.Captions has version 0 in the lock, 1 now", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := read(t, c.path)
			defer write(t, c.path, before)
			if c.from == "" {
				raw := []byte(before)
				raw[len(raw)-1] ^= 1
				write(t, c.path, string(raw))
			} else {
				edit(t, c.path, c.from, c.to)
			}
			if c.name == "version" { // an older version has another key
				s := read(t, c.path)
				i := strings.Index(s, "op: generate.Captions\n")
				k := i + strings.Index(s[i:], "key: ") + len("key: ")
				write(t, c.path, s[:k]+"00"+s[k+2:])
			}
			if c.name == "image" { // whose last byte is a checksum's
				picture(t, c.path, 91)
			}
			verify, plan := reasons(t, file)
			for _, want := range []struct {
				in   map[string]string
				text string
			}{{verify, c.verify}, {plan, c.plan}, {verify, c.follow}} {
				if want.text == "" {
					continue
				}
				variable, text, _ := strings.Cut(want.text, ": ")
				if !strings.Contains(want.in[variable], text) {
					t.Errorf("want %q, got %q", want.text, want.in)
				}
			}
			for name, why := range verify {
				if !strings.HasPrefix(c.verify, name+": ") && !strings.HasPrefix(why, "it is made from ") && why != "an earlier step of it changed" {
					t.Errorf("%s is blamed too: %s", name, why)
				}
			}
		})
	}
	if verify, plan := reasons(t, file); len(verify)+len(plan) > 0 {
		t.Errorf("with everything as it was: %q, %q", verify, plan)
	}
	// The table says with which weights it was made.
	var b bytes.Buffer
	if err := PrintAs(&b, out.Shown[0], "txt"); err != nil || !strings.Contains(b.String(), "Made on cpu") || !strings.Contains(b.String(), "weights tiny-weights (") {
		t.Errorf("%v\n%s", err, &b)
	}
	write(t, filepath.Join(weights, "model.safetensors"), flipped(read(t, filepath.Join(weights, "model.safetensors"))))
	hash := func(s string) string {
		_, after, _ := strings.Cut(s, "tiny-weights (")
		return after[:12]
	}
	was := hash(b.String())
	b.Reset()
	if err := PrintAs(&b, run(t, Options{Recipe: file}).Shown[0], "md"); err != nil || hash(b.String()) == was {
		t.Errorf("other weights have the same hash %s: %v", was, err)
	}
}

func flipped(s string) string {
	raw := []byte(s)
	raw[len(raw)-1] ^= 1
	return string(raw)
}

// Of more files than a lock names, the store knows which one changed.
func TestOneImageOfMany(t *testing.T) {
	file, _, roco := outside(t, 80)
	run(t, Options{Recipe: file}, "set")
	picture(t, filepath.Join(roco, "train", "T_bc.png"), 250)
	if verify, _ := reasons(t, file); verify["set[0]"] != "file T_bc.png changed" {
		t.Errorf("with the store: %q", verify)
	}
	if err := os.RemoveAll(filepath.Join(Root(mustLoad(t, file)), ".lightbox")); err != nil {
		t.Fatal(err)
	}
	if verify, _ := reasons(t, file); verify["set[0]"] != "the content of its files changed" {
		t.Errorf("without the store: %q", verify)
	}
}
