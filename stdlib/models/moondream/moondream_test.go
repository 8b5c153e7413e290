package moondream

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/safetensors"
)

// family is what the goldens of testdata/make_golden.py hold against the official code.
var family = modeltest.Family{
	Family: Family(),
	Cases:  []string{"single", "may", "tiles", "overlap", "april"},
	Spell:  spell,
}

// spell is how a checkpoint of the spelling calls a canonical name.
func spell(spelling, name string) string {
	switch spelling {
	case "compiled":
		return strings.Replace(strings.Replace(name, "text_model.", "text_model._orig_mod.", 1), "encoder.model.", "encoder._orig_mod.model.", 1)
	case "2024":
		return oldName(name)
	}
	return name
}

// oldName is 2024's name of a parameter of 2025.
func oldName(name string) string {
	inText := strings.HasPrefix(name, "model.text.")
	name = strings.NewReplacer(
		"model.text.wte", "text_model.transformer.embd.wte.weight", "model.text.blocks.", "text_model.transformer.h.",
		"model.text.post_ln.", "text_model.lm_head.ln.", "model.text.lm_head.", "text_model.lm_head.linear.",
		"model.vision.patch_emb.", "vision_encoder.encoder.model.visual.patch_embed.linear.",
		"model.vision.pos_emb", "vision_encoder.encoder.model.visual.pos_embed",
		"model.vision.post_ln.", "vision_encoder.encoder.model.visual.norm.",
		"model.vision.blocks.", "vision_encoder.encoder.model.visual.blocks.",
		"model.vision.proj_mlp.", "vision_encoder.projection.mlp.", ".ln1.", ".norm1.", ".ln2.", ".norm2.").Replace(name)
	if inText {
		name = strings.NewReplacer(".attn.qkv", ".mixer.Wqkv", ".attn.proj", ".mixer.out_proj").Replace(name)
	}
	return name
}

func TestFamily(t *testing.T) { modeltest.Run(t, family) }

func TestWriteForReference(t *testing.T) { modeltest.WriteForReference(t, family) }

// TestRegion: tensors of the region model, and of caches in a saved state, are passed over by name; Save keeps the former.
func TestRegion(t *testing.T) {
	for _, c := range []struct{ name, region, cache, error string }{
		{"tiles", "region_model.position_encoder.weight", "", ""},
		{"tiles", "region_modal.position_encoder.weight", "", `tensor "region_modal.position_encoder.weight" is used by nothing`},
		{"single", "region_model.position_encoder.weight", "", "is used by nothing"},
		{"overlap", "model.region.coord_encoder.weight", "model.text.blocks.0.kv_cache.k_cache", ""},
		{"overlap", "region.coord_encoder.weight", "text.blocks.1.kv_cache.v_cache", ""},
		{"april", "region_model.coordinate_encoder.weight", "", ""},
	} {
		dir := family.Checkpoint(t, c.name)
		a, err := safetensors.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		var all []safetensors.Tensor
		for _, n := range a.Names() {
			info, _ := a.Info(n)
			all = append(all, safetensors.Tensor{Name: n, DType: info.DType, Shape: info.Shape, Data: func() []byte { return a.Bytes(n) }})
		}
		for _, n := range []string{c.region, c.cache} {
			if n != "" {
				all = append(all, safetensors.Float32(n, safetensors.F32, []int{2}, []float32{1, 2}))
			}
		}
		modeltest.Put(t, filepath.Join(dir, "copy"), nil)
		if err := safetensors.Write(filepath.Join(dir, "copy"), all, nil); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "copy"), filepath.Join(dir, "model.safetensors")); err != nil {
			t.Fatal(err)
		}
		m, err := Open(context.Background(), dir)
		if c.error != "" {
			if err == nil || !strings.Contains(err.Error(), c.error) {
				t.Errorf("%s with %s: %v; want %q", c.name, c.region, err, c.error)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s with %s: %v", c.name, c.region, err)
			continue
		}
		to := t.TempDir()
		if err := m.Share().Save(to, tensor.BF16); err != nil {
			t.Fatal(err)
		}
		if a, err = safetensors.Open(to); err != nil {
			t.Fatal(err)
		}
		kept := 0
		for _, n := range a.Names() {
			if strings.Contains(n, "region") {
				kept++
				if f, err := a.Floats(n); err != nil || f[1] != 2 {
					t.Error(n, f, err)
				}
			}
			if strings.Contains(n, "kv_cache") {
				t.Errorf("Save keeps %s", n)
			}
		}
		if kept != 1 {
			t.Errorf("%s: %d tensors of the region model saved", c.name, kept)
		}
	}
}
