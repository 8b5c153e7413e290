package modeltest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/vision"
)

// Golden is one case of a family, as reference.py writes it.
type Golden struct {
	DType      string
	Names      string
	Shards     int
	Parameters int64
	Examples   []Example
	EOS        []int32
	BeamCount  int                  `json:"beam_count"`
	BeamTokens int                  `json:"beam_tokens"`
	Loss       float64              // mean over the loss tokens of all examples
	Grads      map[string][]float64 // norm, dot product with hashed numbers
	LoRALoss   float64              `json:"lora_loss"`
	LoRA       []string

	tensors *safetensors.Archive
}

// Example is one input with what the reference makes of it.
type Example struct {
	Image          []int // seed, width, height; nil: none
	Prompt, Target string
	Text           string
	PromptIDs      []int32 `json:"prompt_ids"`
	IDs            []int32
	At             []int32 // positions whose logits are kept
	Loss           float64
	Greedy, Beams  []int32
	Margin         float64
	Pixels         string // SHA-256 of the float32 pixels
	PixelCount     int    `json:"pixel_count"`
}

// Family is what a family's test gives.
type Family struct {
	model.Family
	Cases []string // directories under testdata, or paths
	// Spell is how a checkpoint of the given spelling calls a canonical name; nil: as it is.
	Spell func(spelling, canonical string) string
	// Weight draws a tensor where Weight of this package does not fit; nil result: it does.
	Weight func(name string, shape []int) []float32
}

// path is where a case's files are.
func path(name string, file ...string) string {
	if !strings.Contains(name, "/") {
		name = filepath.Join("testdata", name)
	}
	return filepath.Join(append([]string{name}, file...)...)
}

// Read reads the golden of a case.
func Read(t testing.TB, name string) *Golden {
	t.Helper()
	raw, err := os.ReadFile(path(name, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	g := &Golden{}
	if err := json.Unmarshal(raw, g); err != nil {
		t.Fatal(err)
	}
	if g.tensors, err = safetensors.Open(path(name, "golden.safetensors")); err != nil {
		t.Fatal(err)
	}
	return g
}

// Floats is a tensor of the golden.
func (g *Golden) Floats(t testing.TB, name string) []float32 {
	t.Helper()
	f, err := g.tensors.Floats(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Has tells whether the golden has a tensor.
func (g *Golden) Has(name string) bool {
	_, ok := g.tensors.Info(name)
	return ok
}

// Hashed is reference.py's function of that name: n numbers in [-1, 1).
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

// Weight is reference.py's function of that name.
func Weight(name string, shape []int) []float32 {
	n, fan := 1, 1
	for i, d := range shape {
		n *= d
		if i > 0 {
			fan *= d
		}
	}
	table := slices.ContainsFunc([]string{"embed", "wte", "wpe", "position", "latents"}, func(s string) bool { return strings.Contains(name, s) })
	scale, offset := float32(1.75/math.Sqrt(float64(fan))), float32(0)
	switch {
	case strings.Contains(name, "alpha"):
		scale, offset = 0.4, 0.6
	case len(shape) <= 1 && (strings.HasSuffix(name, "weight") || strings.HasSuffix(name, "running_var")):
		scale, offset = 0.25, 1
	case len(shape) <= 1:
		scale = 0.25
	case len(shape) == 2 && table:
		scale = 0.75
	}
	v := Hashed(name, n)
	for i := range v {
		v[i] = offset + scale*v[i]
	}
	return v
}

// Picture is reference.py's function "image" of (seed, width, height); nil of nil.
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

// Digest is reference.py's function of that name: SHA-256 of the little-endian float32.
func Digest(v []float32) string {
	h := sha256.New()
	buf := make([]byte, 0, 4096)
	for i, f := range v {
		buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(f))
		if len(buf) == cap(buf) || i == len(v)-1 {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// halfBits rounds to binary16, ties to even, for numbers of ordinary size.
func halfBits(f float32) uint16 {
	b := math.Float32bits(f)
	sign, exp, frac := uint16(b>>16)&0x8000, int(b>>23&0xff)-127+15, b&0x7fffff
	if exp <= 0 { // subnormal: a multiple of 2^-24
		return sign | uint16(math.RoundToEven(math.Abs(float64(f))*(1<<24)))
	}
	h := uint32(exp)<<10 | frac>>13
	if rest := frac & 0x1fff; rest > 0x1000 || rest == 0x1000 && h&1 == 1 {
		h++
	}
	return sign | uint16(h)
}

func pack(dtype string, v []float32) (safetensors.DType, []byte) {
	switch dtype {
	case "bfloat16":
		return safetensors.BF16, safetensors.PackBF16(v)
	case "float16":
		var out []byte
		for _, f := range v {
			out = binary.LittleEndian.AppendUint16(out, halfBits(f))
		}
		return safetensors.F16, out
	}
	return safetensors.F32, safetensors.PackF32(v)
}

// weight draws a parameter.
func (f Family) weight(name string, shape []int) []float32 {
	if f.Weight != nil {
		if v := f.Weight(name, shape); v != nil {
			return v
		}
	}
	return Weight(name, shape)
}

// Checkpoint writes the checkpoint that a golden was made from and returns its directory.
func (f Family) Checkpoint(t testing.TB, name string) string {
	t.Helper()
	g := Read(t, name)
	dir := t.TempDir()
	copyFiles(t, path(name), dir)
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.New(raw)
	if err != nil {
		t.Fatal(err)
	}
	var params []nn.Named
	for _, p := range slices.Concat(m.Params(), m.Buffers()) {
		if !p.Counter {
			params = append(params, nn.Named{Name: p.Name, Param: p.Param})
		}
	}
	shards := make([][]safetensors.Tensor, g.Shards)
	index := map[string]string{}
	file := func(i int) string {
		if g.Shards == 1 {
			return "model.safetensors"
		}
		return fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, g.Shards)
	}
	for i, p := range params {
		dt, data := pack(g.DType, f.weight(p.Name, p.Shape))
		s := p.Name
		if f.Spell != nil {
			s = f.Spell(g.Names, p.Name)
		}
		shards[i%g.Shards] = append(shards[i%g.Shards], safetensors.Tensor{Name: s, DType: dt, Shape: p.Shape, Data: func() []byte { return data }})
		index[s] = file(i % g.Shards)
	}
	for i, ts := range shards {
		if err := safetensors.Write(filepath.Join(dir, file(i)), ts, nil); err != nil {
			t.Fatal(err)
		}
	}
	if g.Shards > 1 {
		raw, err := json.Marshal(map[string]any{"weight_map": index})
		if err != nil {
			t.Fatal(err)
		}
		Put(t, filepath.Join(dir, "model.safetensors.index.json"), raw)
	}
	return dir
}

// Load opens the checkpoint of a case.
func (f Family) Load(t testing.TB, name string) model.Model {
	t.Helper()
	m, err := f.Open(context.Background(), f.Checkpoint(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// copyFiles copies the files of a case but its goldens.
func copyFiles(t testing.TB, from, to string) {
	t.Helper()
	list, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), "golden.") || strings.HasPrefix(e.Name(), "quantised-") {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		Put(t, filepath.Join(to, e.Name()), raw)
	}
}

// Put writes a file.
func Put(t testing.TB, path string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Replace edits a file of a checkpoint, which must contain old.
func Replace(t testing.TB, path, old, new string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), old) {
		t.Fatalf("%s has no %s", path, old)
	}
	Put(t, path, []byte(strings.Replace(string(raw), old, new, 1)))
}
