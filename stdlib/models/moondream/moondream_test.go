package moondream

import (
	"strings"
	"testing"

	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

// family is what the goldens of testdata/make_golden.py hold against the official code.
var family = modeltest.Family{
	Family:  Family(),
	Cases:   []string{"single", "may", "tiles", "overlap", "april"},
	Spell:   spell,
	Buffers: extras,
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

// extras are tensors of the region model and of a cache, which published files or saved state have besides.
func extras(m model.Model) []nn.Named {
	var out []nn.Named
	names := map[Form][]string{
		Tiles:   {"region_model.position_encoder.weight", "region_model.position_features.weight"},
		Overlap: {"model.region.coord_encoder.weight", "model.text.blocks.0.kv_cache.k_cache"},
	}
	for _, n := range names[m.(*Model).cfg.Form] {
		out = append(out, nn.Named{Name: n, Param: nn.NewParam(nn.InitZeros, 2, 3)})
	}
	return out
}

func TestFamily(t *testing.T) { modeltest.Run(t, family) }

func TestWriteForReference(t *testing.T) { modeltest.WriteForReference(t, family) }
