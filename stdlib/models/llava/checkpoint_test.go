package llava

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/stdlib/models/clipllama"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/vision"
)

// golden is what testdata/make_golden.py wrote: transformers 5.23.0, peft 0.21.2.
type golden struct {
	DType      string
	Names      string
	Shards     int
	Parameters int64
	Examples   []struct {
		Image          []int
		Prompt, Target string
		Text           string
		PromptIDs      []int32 `json:"prompt_ids"`
		IDs            []int32
		At             []int32
		Loss           float64
		Greedy         []int32
		Margin         float64
	}
	Loss     float64
	Grads    map[string][]float64 // norm, dot product with hashed numbers
	LoRALoss float64              `json:"lora_loss"`
	LoRA     []string

	tensors *safetensors.Archive
}

var cases = []string{"grouped", "tied", "sharded"}

func readGolden(t testing.TB, name string) *golden {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	g := &golden{}
	if err := json.Unmarshal(raw, g); err != nil {
		t.Fatal(err)
	}
	if g.tensors, err = safetensors.Open(filepath.Join("testdata", name, "golden.safetensors")); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *golden) floats(t testing.TB, name string) []float32 {
	t.Helper()
	f, err := g.tensors.Floats(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// hashed is make_golden.py's function of that name.
func hashed(name string, n int) []float32 {
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

// weightValues is make_golden.py's function "weight".
func weightValues(name string, shape []int) []float32 {
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
	v := hashed(name, n)
	for i := range v {
		v[i] = offset + scale*v[i]
	}
	return v
}

// storedName spells a canonical name as the golden's checkpoint does.
func storedName(spelling, name string) string {
	switch spelling {
	case "hub":
		return clipllama.HubName(name)
	case "4.52":
		return strings.Replace(name, "model.vision_tower.", "model.vision_tower.vision_model.", 1)
	}
	return name
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

// writeCheckpoint writes the checkpoint that a golden was made from and returns its directory.
func writeCheckpoint(t testing.TB, name string) string {
	t.Helper()
	g := readGolden(t, name)
	dir := t.TempDir()
	copyFiles(t, filepath.Join("testdata", name), dir)
	c, err := clipllama.ReadConfig(read(t, filepath.Join(dir, "config.json")))
	if err != nil {
		t.Fatal(err)
	}
	shards := make([][]safetensors.Tensor, g.Shards)
	index := map[string]string{}
	file := func(i int) string {
		if g.Shards == 1 {
			return "model.safetensors"
		}
		return fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, g.Shards)
	}
	for i, p := range nn.Params(clipllama.NewNetwork(c, false)) {
		dt, data := pack(g.DType, weightValues(p.Name, p.Shape))
		s := storedName(g.Names, p.Name)
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
		put(t, filepath.Join(dir, "model.safetensors.index.json"), raw)
	}
	return dir
}

func copyFiles(t testing.TB, from, to string) {
	t.Helper()
	list, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if !strings.HasPrefix(f.Name(), "golden") {
			put(t, filepath.Join(to, f.Name()), read(t, filepath.Join(from, f.Name())))
		}
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func put(t testing.TB, path string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

func load(t testing.TB, name string) *clipllama.Model {
	t.Helper()
	m, err := Open(context.Background(), writeCheckpoint(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*clipllama.Model)
}

// picture is make_golden.py's function "image".
func picture(spec []int) *vision.Image {
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
