package visiongpt2

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/vision"
)

var parts = Parts{ViT: "testdata/parts/vit", GPT2: "testdata/parts/gpt2"}

// TestParts: a captioner made of a ViT and a GPT-2 has, tensor by tensor, what from_encoder_decoder_pretrained takes from
// them, and what that draws is drawn with the same spread.
func TestParts(t *testing.T) {
	var golden struct {
		Tensors map[string]struct {
			Shape     []int
			Std, Mean float64
			SHA256    string
		}
	}
	raw, err := os.ReadFile("testdata/parts/tensors.json")
	if err == nil {
		err = json.Unmarshal(raw, &golden)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := parts.Check(); err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{} // no two tensors are alike, so that one in another's place is seen
	for name, want := range golden.Tensors {
		if other, twice := sums[want.SHA256]; twice && want.SHA256 != "" {
			t.Errorf("%s and %s hold the same", name, other)
		}
		sums[want.SHA256] = name
	}
	drawn := map[string][]float64{}
	for seed := range uint64(40) {
		m, err := parts.Join(context.Background(), t.TempDir(), seed)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(m.Params()); n != len(golden.Tensors) {
			t.Fatalf("%d parameters; transformers has %d", n, len(golden.Tensors))
		}
		for _, q := range m.Params() {
			want, ok := golden.Tensors[q.Name]
			switch {
			case !ok || !slices.Equal(q.Shape, want.Shape):
				t.Fatalf("%s of shape %v; transformers has %v", q.Name, q.Shape, want.Shape)
			case want.SHA256 == "":
				for _, v := range ops.Floats(q.T()) {
					drawn[q.Name] = append(drawn[q.Name], float64(v))
				}
			case seed == 0:
				sum := sha256.Sum256(safetensors.PackF32(ops.Floats(q.T())))
				if got := hex.EncodeToString(sum[:]); got != want.SHA256 {
					t.Errorf("%s differs from what transformers takes from the part", q.Name)
				}
			}
		}
	}
	for name, values := range drawn {
		want := golden.Tensors[name]
		mean, std := 0.0, 0.0
		for _, v := range values {
			mean += v / float64(len(values))
		}
		for _, v := range values {
			std += (v - mean) * (v - mean) / float64(len(values))
		}
		std = math.Sqrt(std)
		if math.Abs(std-want.Std) > 0.05*want.Std+1e-9 || math.Abs(mean-want.Mean) > 0.06*want.Std+1e-9 { // 5760 values and more each
			t.Errorf("%s is drawn with mean %.5f and deviation %.5f; transformers with %.5f and %.5f", name, mean, std, want.Mean, want.Std)
		}
	}
}

// TestPartsSaved: the captioner reads itself back and writes a caption from its start token on.
func TestPartsSaved(t *testing.T) {
	dir := t.TempDir()
	m, err := parts.Join(context.Background(), t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Save(dir, tensor.F32); err != nil {
		t.Fatal(err)
	}
	back, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if i := back.Info(); !slices.Equal(i.EOS, []int32{256}) || i.Preprocessing["resample"] == nil {
		t.Errorf("ends %v, image settings %v", i.EOS, i.Preprocessing)
	}
	s, err := back.Encode(model.Input{Image: vision.New(20, 30), Target: "CT"})
	if err != nil {
		t.Fatal(err)
	}
	if s.IDs[0] != 256 || s.IDs[len(s.IDs)-1] != 256 || len(s.IDs) != 4 {
		t.Errorf("ids %v", s.IDs)
	}
	for i, q := range back.Params() {
		if !slices.Equal(ops.Floats(q.T()), ops.Floats(m.Params()[i].T())) {
			t.Errorf("%s changed on its way through the files", q.Name)
		}
	}
}

// TestPartsErrors: what is wrong with a part is said with its directory.
func TestPartsErrors(t *testing.T) {
	copyOf := func(t *testing.T, from string) string {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	t.Run("swapped", func(t *testing.T) {
		_, err := Parts{ViT: parts.GPT2, GPT2: parts.ViT}.Config()
		if err == nil || !strings.Contains(err.Error(), `encoder: model_type is "gpt2"; known: vit`) {
			t.Error(err)
		}
	})
	t.Run("files", func(t *testing.T) {
		dir := copyOf(t, parts.GPT2)
		os.Remove(filepath.Join(dir, "tokenizer.json"))
		os.Remove(filepath.Join(dir, "model.safetensors"))
		_, err := Parts{ViT: parts.ViT, GPT2: dir}.Files()
		if err == nil || strings.Count(err.Error(), dir) < 2 {
			t.Errorf("not both of tokenizer and weights: %v", err)
		}
	})
	t.Run("width", func(t *testing.T) {
		dir := copyOf(t, parts.GPT2)
		path := filepath.Join(dir, "config.json")
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(raw), `"n_embd": 16`, `"n_embd": 8`, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		err = Parts{ViT: parts.ViT, GPT2: dir}.Check()
		if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "want [257 8]") {
			t.Error(err)
		}
	})
}
