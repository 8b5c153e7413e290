// Package testmodel makes small models and sets for tests of the verbs: a checkpoint with weights drawn from a hash that
// the golden scripts draw too, folders of pictures, and runs of single steps whose scratch directory the test keeps.
//
// It knows nothing of training or generation, and no program imports it.
package testmodel

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/stdlib/models/llava"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/vision"
)

// llavaData is package llava's testdata.
func llavaData() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "../../models/llava/testdata")
}

// Checkpoint writes the LLaVA of llava's golden "grouped" (3 layers of 48, float32) into a directory. eos, where given,
// replaces the tokens that end an answer.
func Checkpoint(t testing.TB, eos ...int32) string {
	t.Helper()
	from, dir := filepath.Join(llavaData(), "grouped"), t.TempDir()
	for _, name := range []string{"config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "chat_template.json", "generation_config.json"} {
		raw, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "generation_config.json" && len(eos) > 0 {
			if raw, err = json.Marshal(map[string]any{"eos_token_id": eos}); err != nil {
				t.Fatal(err)
			}
		}
		Put(t, filepath.Join(dir, name), raw)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := llava.New(raw)
	if err != nil {
		t.Fatal(err)
	}
	var out []safetensors.Tensor
	for _, p := range m.Params() {
		out = append(out, safetensors.Float32(p.Name, safetensors.F32, p.Shape, weight(p.Name, p.Shape)))
	}
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), out, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Hashed is the golden scripts' function of that name: n numbers in [-1, 1).
func Hashed(name string, n int) []float32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	base := h.Sum32()
	out := make([]float32, n)
	for i := range out {
		x := base + uint32(i)*2654435761
		x ^= x >> 16
		x *= 0x85EBCA6B
		x ^= x >> 13
		x *= 0xC2B2AE35
		x ^= x >> 16
		out[i] = float32(float64(x>>8)/(1<<23) - 1)
	}
	return out
}

// weight is the golden scripts' function of that name.
func weight(name string, shape []int) []float32 {
	n, fan := 1, 1
	for i, d := range shape {
		n *= d
		if i > 0 {
			fan *= d
		}
	}
	scale, offset := float32(1.75/math.Sqrt(float64(fan))), float32(0)
	switch {
	case len(shape) == 1 && strings.Contains(name, "norm") && strings.HasSuffix(name, "weight"):
		scale, offset = 0.25, 1
	case len(shape) == 1:
		scale = 0.25
	case strings.Contains(name, "embed_tokens"), strings.Contains(name, "position_embedding"):
		scale = 0.75
	}
	v := Hashed(name, n)
	for i := range v {
		v[i] = offset + scale*v[i]
	}
	return v
}

// Picture is the golden scripts' function "image" of (seed, width, height); nil of nil.
func Picture(spec []int) *vision.Image {
	if spec == nil {
		return nil
	}
	seed, w, h := spec[0], spec[1], spec[2]
	im := vision.New(w, h)
	for y := range h {
		for x := range w {
			p := im.Pix[3*(y*w+x):]
			p[0], p[1], p[2] = byte(x*(3+seed)+y*2), byte(x*y/3+40*seed), byte(255-x*2+y*(1+seed))
			if y >= h/4 && y < h/2 && x >= w/3 && x < w/2 {
				p[0], p[1], p[2] = 250, byte(20*seed), 90
			}
		}
	}
	return im
}

// A Row is an example of a Folder.
type Row struct {
	Picture                          []int // see the function; nil: text only
	ID, Split, Caption, Prompt, Hint string
	Modality                         string
	Attrs                            map[string]string
}

// Set writes the artifact of a set, as a step of package data would, and returns its step, already run for Env.
func Set(t testing.TB, rows ...Row) step.Ref {
	t.Helper()
	dir := t.TempDir()
	var lines strings.Builder
	for i, r := range rows {
		ex := map[string]any{"id": r.ID, "split": r.Split, "caption": r.Caption, "prompt": r.Prompt, "hint": r.Hint, "modality": r.Modality, "attrs": r.Attrs}
		if r.ID == "" {
			ex["id"] = fmt.Sprintf("e%d", i)
		}
		if r.Split == "" {
			ex["split"] = "train"
		}
		if r.Picture != nil {
			name := filepath.Join(dir, fmt.Sprintf("%d.png", i))
			Put(t, name, vision.EncodePNG(Picture(r.Picture)))
			ex["image"] = name
		}
		raw, err := json.Marshal(ex)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(raw, '\n'))
	}
	return Ready(map[string]string{"examples.jsonl": lines.String(), "meta.json": `{"source": "test"}`})
}

// Put writes a file.
func Put(t testing.TB, path string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

type files struct{ Files map[string]string }

var readyOp = &step.Op{Name: "test.ready", Version: "1", Run: func(ctx *step.Context, dir string) error {
	for name, content := range ctx.Step().Params.(files).Files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}}

// Ready is a step whose artifact holds the files given.
func Ready(content map[string]string) step.Ref { return step.New(readyOp, files{content}) }

// A Runner runs steps in a directory of its own; artifacts, and scratch directories of steps that failed, stay there.
type Runner struct {
	Dir    string
	Seed   uint64
	Metric func(name string, step int64, v float64)
	Log    func(line string)
	dirs   map[step.Key]string
}

// NewRunner makes a Runner.
func NewRunner(t testing.TB) *Runner { return &Runner{Dir: t.TempDir(), Seed: 1} }

// Run runs what ref needs and was not run yet, and gives ref's artifact.
func (r *Runner) Run(ctx context.Context, ref step.Ref) (string, error) {
	if r.dirs == nil {
		r.dirs = map[step.Key]string{}
	}
	var err error
	step.Walk([]step.Ref{ref}, func(x step.Ref) {
		if err == nil && r.dirs[x.ID()] == "" {
			err = r.one(ctx, x)
		}
	})
	return r.dirs[ref.ID()], err
}

func (r *Runner) one(ctx context.Context, x step.Ref) (err error) {
	for _, e := range x.Errors() {
		return e
	}
	s := x.Step()
	if s.Op.Check != nil {
		for _, e := range s.Op.Check(s) {
			return e
		}
	}
	dir := filepath.Join(r.Dir, x.ID().Short())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := s.Op.Run(r.context(ctx, x), dir); err != nil {
		return err
	}
	r.dirs[x.ID()] = dir
	return nil
}

// Together runs steps of one operation as one, after what they need and were not run yet; errors are parallel to refs.
func (r *Runner) Together(ctx context.Context, refs ...step.Ref) []error {
	errs := make([]error, len(refs))
	var ctxs []*step.Context
	var dirs []string
	for i, ref := range refs {
		for _, in := range ref.Step().In {
			if _, err := r.Run(ctx, in); err != nil {
				errs[i] = err
				return errs
			}
		}
	}
	for i, ref := range refs {
		dir := filepath.Join(r.Dir, ref.ID().Short())
		if errs[i] = os.MkdirAll(dir, 0o755); errs[i] != nil {
			return errs
		}
		ctxs, dirs = append(ctxs, r.context(ctx, ref)), append(dirs, dir)
	}
	errs = refs[0].Step().Op.Together.Run(ctxs, dirs)
	for i, ref := range refs {
		if errs[i] == nil {
			r.dirs[ref.ID()] = dirs[i]
		}
	}
	return errs
}

// context is what a step sees.
func (r *Runner) context(ctx context.Context, x step.Ref) *step.Context {
	scratch := r.Scratch(x)
	return step.NewContext(ctx, step.Env{Step: x.Step(), Seed: r.Seed, Dirs: r.dirs, Metric: r.Metric, Log: r.Log,
		Scratch: func() (string, error) { return scratch, os.MkdirAll(scratch, 0o755) }})
}

// Scratch is a step's scratch directory.
func (r *Runner) Scratch(x step.Ref) string { return filepath.Join(r.Dir, x.ID().Short()+".scratch") }

// Deeper is a copy of a checkpoint's directory whose configuration has one layer more in its language model: enough for a
// plan, not to be loaded.
func Deeper(t testing.TB, dir string) string {
	t.Helper()
	out := t.TempDir()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if e.Name() == "config.json" {
			var c map[string]any
			if err := json.Unmarshal(raw, &c); err != nil {
				t.Fatal(err)
			}
			text := c["text_config"].(map[string]any)
			text["num_hidden_layers"] = text["num_hidden_layers"].(float64) + 1
			if raw, err = json.Marshal(c); err != nil {
				t.Fatal(err)
			}
		}
		Put(t, filepath.Join(out, e.Name()), raw)
	}
	return out
}
