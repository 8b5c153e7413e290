package dual

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/internal/torchtest"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/vision"
)

// copied is a kind's checkpoint that the test may change.
func copied(t *testing.T, kind string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(published(t, kind))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, dir string) *Encoder {
	t.Helper()
	e, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// same sees that two encoders give the same bits.
func same(t *testing.T, what string, a, b *Encoder) {
	t.Helper()
	im := []*vision.Image{modeltest.Picture([]int{1, 97, 64})}
	s := []string{"axial CT", "it's"}
	if !slices.Equal(images(t, a, im)[0], images(t, b, im)[0]) || !slices.Equal(texts(t, a, s)[1], texts(t, b, s)[1]) {
		t.Errorf("%s: other bits", what)
	}
}

// TestLayouts: the forms in which checkpoints lie about.
func TestLayouts(t *testing.T) {
	want := map[string]*Encoder{}
	for _, kind := range kinds {
		want[kind] = open(t, published(t, kind))
		if err := Check(published(t, kind)); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		dir := copied(t, kind) // in torch's format, some matrices transposed
		path := filepath.Join(dir, filepath.FromSlash(weightsOf(kind)))
		name := strings.NewReplacer("open_clip_model.safetensors", "open_clip_pytorch_model.bin", "model.safetensors", "pytorch_model.bin").Replace(filepath.Base(path))
		raw := torchtest.File(t, tensors(t, kind, func(s string) string { return s }), func(n string) bool { return strings.HasSuffix(n, "fc1.weight") })
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		modeltest.Put(t, filepath.Join(filepath.Dir(path), name), raw)
		same(t, kind+" in torch's format", want[kind], open(t, dir))
	}

	root := t.TempDir() // the repository's root, whose folder is a date
	if err := os.CopyFS(filepath.Join(root, "2024.09.27"), os.DirFS(published(t, "insight"))); err != nil {
		t.Fatal(err)
	}
	same(t, "insight in a folder", want["insight"], open(t, root))
	files, err := Files(root)
	if err != nil || len(files) != 5 || !strings.HasSuffix(files[4], "2024.09.27/vision_model/medimageinsigt-v1.0.0.pt") {
		t.Errorf("files: %v, %v", files, err)
	}

	old := copied(t, "insight") // names that older files have
	names := strings.NewReplacer("image_encoder.convs", "visual.conv_embeds", "image_encoder.blocks", "visual.main_blocks", "image_encoder.norms", "visual.norms",
		"lang_encoder.", "text.", "lang_projection", "text_projection", "image_projection", "vision_projection",
		"spatial_block.conv1.fn.dw", "0.cpe.0.proj", "spatial_block.window_attn.fn", "0.attn", "channel_block.ffn.fn.net", "1.mlp", "channel_block.ffn.norm", "1.norm2")
	if err := safetensors.Write(filepath.Join(old, filepath.FromSlash(weightsOf("insight"))), tensors(t, "insight", names.Replace), nil); err != nil {
		t.Fatal(err)
	}
	same(t, "insight with old names", want["insight"], open(t, old))

	named := copied(t, "biomed") // a config.json of the text tower
	modeltest.Put(t, filepath.Join(named, "config.json"), []byte(`{"model_type":"bert","vocab_size":`+"0"+`}`))
	if _, err := Open(context.Background(), named); err == nil || !strings.Contains(err.Error(), "text tower: vocab_size is 0") {
		t.Errorf("config.json of the text tower: %v", err)
	}
	plain := copied(t, "biomed") // keys as before open_clip 2.30
	modeltest.Replace(t, filepath.Join(plain, "open_clip_config.json"), "hf_proj_type", "proj")
	modeltest.Replace(t, filepath.Join(plain, "open_clip_config.json"), "hf_pooler_type", "pooler_type")
	same(t, "biomed with old keys", want["biomed"], open(t, plain))
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ kind, file, old, new, want string }{
		{"clip", "config.json", `"model_type": "clip"`, `"model_type": "siglip"`, `model_type is "siglip"; of transformers' models only clip`},
		{"clip", "config.json", `"projection_dim": 16`, `"projection_dim": 17`, `"text_projection.weight" has shape [16 24]; want [17 24]`},
		{"clip", "config.json", `"num_attention_heads": 3`, `"num_attention_heads": 7`, "text_config: hidden_size 24 is not a multiple of num_attention_heads 7"},
		{"clip", "preprocessor_config.json", `"height": 32`, `"height": 48`, "it makes images of 32x48; the vision tower takes image_size 32"},
		{"biomed", "open_clip_config.json", `"mlp"`, `"linear"`, `hf_proj_type is "linear"; only "mlp"`},
		{"biomed", "open_clip_config.json", "vit_tiny_patch8_32", "resnet50", `timm_model_name is "resnet50"; want vit_`},
		{"biomed", "open_clip_config.json", `"context_length": 48`, `"context_length": 100`, "context_length 100; the text tower has 64 positions"},
		{"biomed", "vocab.txt", "[PAD]\n", "[PAD]\n[MORE]\n", "tokenizer of another model?"},
		{"insight", "config.yaml", "davit_v1", "swin", `IMAGE_ENCODER.NAME is "swin"; want "davit_v1"`},
		{"insight", "config.yaml", "WINDOW_SIZE: 3", "STANDPARAM: false", "muP"},
		{"insight", "config.yaml", "INTERPOLATION: bicubic", "INTERPOLATION: best", `AUG.INTERPOLATION is "best"; want bicubic`},
		{"insight", "config.yaml", "HEADS: 3\n", "HEADS: 5\n", "LANG_ENCODER.WIDTH 24 is not a multiple of HEADS 5"},
		{"insight", "config.yaml", "LAYERS: 2", "LAYERS: 3", `tensor "lang_encoder.resblocks.2.attn.in_proj_weight" is missing`},
	} {
		dir := copied(t, c.kind)
		modeltest.Replace(t, filepath.Join(dir, c.file), c.old, c.new)
		err := Check(dir)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s with %s: %v; want %q and the file's name", c.kind, c.new, err, c.want)
		}
		if _, err2 := Open(context.Background(), dir); err2 == nil || err2.Error() != err.Error() {
			t.Errorf("%s with %s: Open says %v, Check %v", c.kind, c.new, err2, err)
		}
	}
	if err := Tiny(t.TempDir(), "siglip"); err == nil || !strings.Contains(err.Error(), `no dual encoder "siglip"`) {
		t.Error(err)
	}
}

// TestTiny: tiny checkpoints open, and are the same bytes every time.
func TestTiny(t *testing.T) {
	for _, kind := range []string{CLIP, BiomedCLIP, MedImageInsight} {
		a, b := t.TempDir(), t.TempDir()
		for _, dir := range []string{a, b} {
			if err := Tiny(dir, kind); err != nil {
				t.Fatal(err)
			}
		}
		e := open(t, a)
		if e.Kind != kind {
			t.Errorf("a tiny %s is a %s", kind, e.Kind)
		}
		files, err := Files(a)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			rel, _ := filepath.Rel(a, f)
			x, err1 := os.ReadFile(f)
			y, err2 := os.ReadFile(filepath.Join(b, rel))
			if err1 != nil || err2 != nil || string(x) != string(y) {
				t.Errorf("%s differs: %v, %v", rel, err1, err2)
			}
		}
		u := texts(t, e, []string{"left", "right"})
		if far(u[0], u[1]) < 1e-4 {
			t.Errorf("a tiny %s tells no texts apart", kind)
		}
	}
}
