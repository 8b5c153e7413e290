// Package capacity holds predictions of memory against processes of their own, for every family alike. Sizes is its list of
// models; the tests of training and generation bring the work.
//
// It knows neither, and no program imports it.
package capacity

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	osexec "os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/exec"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

// A Size is a configuration whose weights and activations are a few tens of megabytes, so that what a process takes
// besides hardly counts.
type Size struct {
	Name, Config string
	Quantised    *model.Quantisation // nil: weights as they are stored
}

// Sizes are the configurations that predictions of memory are held against: one line per family, or one for each way in
// which it holds memory. LLaVA's are the three goldens', enlarged.
func Sizes() []Size {
	return []Size{
		{Name: "llava f32", Config: `{"model_type": "llava", "torch_dtype": "float32", "image_token_index": 3000, "text_config": {"vocab_size": 4000, "hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 6, "num_key_value_heads": 2}, "vision_config": {"hidden_size": 256, "intermediate_size": 640, "num_hidden_layers": 6, "num_attention_heads": 4, "image_size": 70, "patch_size": 7}}`},
		{Name: "llava f16, two layers of features", Config: `{"model_type": "llava", "torch_dtype": "float16", "image_token_index": 3000, "vision_feature_layer": [-2, 1], "text_config": {"model_type": "mistral", "vocab_size": 6000, "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 64, "sliding_window": null}, "vision_config": {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 7, "num_attention_heads": 4, "image_size": 80, "patch_size": 8}}`},
		{Name: "llava bf16, tied", Config: `{"model_type": "llava", "dtype": "bfloat16", "image_token_index": 3000, "vision_feature_layer": -1, "vision_feature_select_strategy": "full", "tie_word_embeddings": true, "text_config": {"vocab_size": 4000, "hidden_size": 480, "intermediate_size": 1280, "num_hidden_layers": 8, "num_attention_heads": 6, "attention_bias": true, "mlp_bias": true, "tie_word_embeddings": true}, "vision_config": {"hidden_size": 288, "intermediate_size": 600, "num_hidden_layers": 5, "num_attention_heads": 4, "image_size": 75, "patch_size": 7, "hidden_act": "gelu"}}`},
		{Name: "llavanext", Config: `{"model_type": "llava_next", "architectures": ["LlavaNextForConditionalGeneration"], "torch_dtype": "float16", "image_grid_pinpoints": [[56, 112], [112, 56], [112, 112]], "image_token_index": 3000, "vision_feature_layer": -2, "text_config": {"model_type": "mistral", "vocab_size": 6000, "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 2, "max_position_embeddings": 4096, "sliding_window": null}, "vision_config": {"model_type": "clip_vision_model", "hidden_size": 256, "intermediate_size": 640, "num_hidden_layers": 6, "num_attention_heads": 4, "image_size": 56, "patch_size": 7}}`},
		{Name: "moondream, one view", Config: `{"architectures": ["Moondream"], "model_type": "moondream1", "torch_dtype": "float16", "phi_config": {"model_type": "phi", "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 8, "max_position_embeddings": 512, "vocab_size": 3000}, "vision_config": {"enc_dim": 256, "enc_patch_size": 14, "enc_n_layers": 6, "enc_ff_dim": 640, "enc_n_heads": 4, "crop_size": 126, "proj_inner_dim": 1024}}`},
		{Name: "moondream, tiles", Config: `{"architectures": ["Moondream"], "model_type": "moondream1", "torch_dtype": "float16", "text_config": {"model_type": "phi", "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 8, "max_position_embeddings": 512, "vocab_size": 3000}, "vision_config": {"enc_dim": 256, "enc_patch_size": 14, "enc_n_layers": 6, "enc_ff_dim": 640, "enc_n_heads": 4, "crop_size": 126, "proj_inner_dim": 1024, "tile_from": 200}}`},
		{Name: "idefics3", Config: `{"architectures": ["Idefics3ForConditionalGeneration"], "model_type": "idefics3", "image_token_id": 3000, "scale_factor": 2, "torch_dtype": "bfloat16", "tie_word_embeddings": false, "text_config": {"model_type": "llama", "vocab_size": 6000, "hidden_size": 480, "intermediate_size": 1280, "num_hidden_layers": 6, "num_attention_heads": 6, "num_key_value_heads": 2, "rms_norm_eps": 1e-05, "max_position_embeddings": 4096, "pad_token_id": 2}, "vision_config": {"model_type": "idefics3", "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 6, "num_attention_heads": 4, "image_size": 128, "patch_size": 16, "size": {"longest_edge": 256}, "max_image_size": {"longest_edge": 128}}}`},
		{Name: "idefics", Config: `{"architectures": ["IdeficsForVisionText2Text"], "model_type": "idefics", "torch_dtype": "bfloat16", "vocab_size": 3000, "additional_vocab_size": 2, "hidden_size": 480, "intermediate_size": 1280, "num_hidden_layers": 6, "num_attention_heads": 6, "hidden_act": "silu", "rms_norm_eps": 1e-6, "cross_layer_interval": 2, "qk_layer_norms": true, "use_resampler": true, "alpha_type": "float", "max_position_embeddings": 2048, "vision_config": {"embed_dim": 256, "image_size": 112, "patch_size": 14, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 768, "hidden_act": "gelu"}, "perceiver_config": {"qk_layer_norms_perceiver": true, "resampler_depth": 2, "resampler_head_dim": 48, "resampler_n_heads": 4, "resampler_n_latents": 32, "use_resampler": true}}`},
		{Name: "qwen2", Config: `{"architectures": ["Qwen2VLForConditionalGeneration"], "model_type": "qwen2_vl", "torch_dtype": "bfloat16", "vocab_size": 4000, "image_token_id": 3000, "vision_start_token_id": 3001, "vision_end_token_id": 3002, "video_token_id": 3003, "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 2, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "tie_word_embeddings": true, "max_position_embeddings": 4096, "rope_scaling": {"type": "mrope", "mrope_section": [8, 12, 12]}, "vision_config": {"depth": 6, "embed_dim": 256, "hidden_size": 512, "mlp_ratio": 3, "num_heads": 4, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}}`},
		{Name: "visiongpt2", Config: `{"model_type": "vision-encoder-decoder", "torch_dtype": "float32", "decoder_start_token_id": 0, "eos_token_id": 0, "encoder": {"model_type": "vit", "hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 640, "image_size": 80, "patch_size": 8}, "decoder": {"model_type": "gpt2", "add_cross_attention": true, "is_decoder": true, "vocab_size": 4000, "n_positions": 256, "n_embd": 384, "n_layer": 6, "n_head": 6}}`},
		{Name: "cnntransformer", Config: `{"architectures": ["CNNTransformerForCaptioning"], "model_type": "cnn-transformer", "decoder_start_token_id": 0, "eos_token_id": 0, "torch_dtype": "float32", "encoder": {"model_type": "densenet", "block_config": [4, 6, 8], "growth_rate": 24, "num_init_features": 48, "bn_size": 4, "image_size": 96}, "decoder": {"model_type": "transformer_decoder", "vocab_size": 6000, "d_model": 512, "nhead": 8, "num_layers": 5, "dim_feedforward": 1536, "max_positions": 256, "activation": "relu", "tie_word_embeddings": true}}`},
	}
}

// Quantised are some of the Sizes with their weights quantised when they are loaded: NF4, transposed weights, int8.
func Quantised() []Size {
	var out []Size
	for name, form := range map[string]ops.Form{"llava bf16, tied": {Code: ops.NF4, Double: true}, "visiongpt2": {Code: ops.NF4, Double: true}, "idefics3": {Code: ops.Int8}} {
		i := slices.IndexFunc(Sizes(), func(s Size) bool { return s.Name == name })
		s := Sizes()[i]
		s.Name, s.Quantised = s.Name+", "+form.Code.String(), &model.Quantisation{Form: form}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Size) int { return -strings.Compare(a.Name, b.Name) })
	return out
}

// Skeleton is the model without weights.
func (s Size) Skeleton(t testing.TB) model.Model {
	t.Helper()
	dir := t.TempDir()
	testmodel.Put(t, filepath.Join(dir, "config.json"), []byte(s.Config))
	m, err := models.Load(dir, models.ConfigOnly).All()[0].Skeleton()
	if err == nil && s.Quantised != nil {
		err = s.Quantised.Apply(m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const (
	childDir  = "LIGHTBOX_TEST_CAPACITY" // to the child: where the weights are
	childSays = "capacity of the child: "
)

// Check holds what model.Measure predicts of the work against what a process of its own takes that loads the weights
// and does it: the resident size within a tenth, and the device's memory exactly. work must be all that the test does
// with the model. It gives the prediction.
func Check(t *testing.T, s Size, work func(m model.Model, dev *ops.Device)) model.Estimate {
	t.Helper()
	m := s.Skeleton(t)
	if dir := os.Getenv(childDir); dir != "" {
		child(t, m, dir, work)
		return model.Estimate{}
	}
	if runtime.GOOS != "linux" {
		t.Skip("a process's peak memory is read from /proc: skipped but on linux")
	}
	dir := t.TempDir()
	writeRandom(t, m, filepath.Join(dir, "model.safetensors"))
	var want int64
	e := model.Measure(m, func(m model.Model, on *ops.Meter) {
		work(m, on.Device)
		want = int64(on.Held())
	})
	var pattern []string
	for _, part := range strings.Split(t.Name(), "/") {
		pattern = append(pattern, "^"+part+"$")
	}
	cmd := osexec.Command(os.Args[0], "-test.run="+strings.Join(pattern, "/"), "-test.v")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.CombinedOutput()
	_, said, ok := strings.Cut(string(out), childSays)
	var grown, held int64
	if _, scan := fmt.Sscan(said, &grown, &held); err != nil || !ok || scan != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	ratio := float64(e.Resident()) / float64(grown)
	t.Logf("predicted %.1f MB (%.1f of weights, %.1f of tensors), used %.1f MB: ratio %.3f", mega(e.Resident()), mega(e.Weights), mega(e.Tensors), mega(grown), ratio)
	if ratio < 0.9 || ratio > 1.1 {
		t.Errorf("predicted %d bytes, used %d: want within a tenth", e.Resident(), grown)
	}
	if held != want {
		t.Errorf("the device held %d bytes at once, %d without memory: want the same", held, want)
	}
	return e
}

func mega(n int64) float64 { return float64(n) / 1e6 }

// child does the work and says by how much the process grew and what the device held.
func child(t *testing.T, m model.Model, dir string, work func(m model.Model, dev *ops.Device)) {
	if _, _, err := exec.Use("cpu", 0); err != nil { // sets the collector
		t.Fatal(err)
	}
	dev := ops.CPU()
	warm := tensor.NewScratch()
	x := warm.Empty(dev, tensor.F32, 256, 256)
	ops.Linear(x, x, nil) // starts goroutines
	warm.Release()
	dev.Trim()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Skipf("the peak cannot be reset: %v", err)
	}
	before, base := status(t, "VmRSS:"), dev.Held()
	a, err := safetensors.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var params []nn.Named
	for _, p := range append(m.Params(), m.Buffers()...) {
		params = append(params, nn.Named{Name: p.Name, Param: p.Param})
	}
	if err := model.LoadWeights(context.Background(), a, params, model.Names{Canonical: func(s string) string { return s }}); err != nil {
		t.Fatal(err)
	}
	work(m, dev)
	fmt.Println(childSays, status(t, "VmHWM:")-before, dev.Held()-base)
	runtime.KeepAlive(m) // a run shares it between steps
}

// status is a line of /proc/self/status in bytes.
func status(t *testing.T, key string) int64 {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), key)
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// writeRandom writes small random weights in the type that the configuration names.
func writeRandom(t testing.TB, m model.Model, path string) {
	t.Helper()
	var out []safetensors.Tensor
	for _, p := range append(m.Params(), m.Buffers()...) {
		if p.Counter {
			continue // may be absent
		}
		dt := map[string]safetensors.DType{"bfloat16": safetensors.BF16, "float16": safetensors.F16}[m.Info().DType]
		if dt == "" {
			dt = safetensors.F32
		}
		out = append(out, safetensors.Tensor{Name: p.Name, DType: dt, Shape: p.Shape, Data: func() []byte {
			values := testmodel.Hashed(p.Name, int(p.Numel()))
			raw := make([]byte, 0, len(values)*dt.Size())
			for _, v := range values {
				if p.Buffer {
					v = 1 // a variance
				}
				switch b := math.Float32bits(v / 16); dt {
				case safetensors.F16: // sign, an exponent of about 1/32, and bits of the value
					raw = binary.LittleEndian.AppendUint16(raw, uint16(b>>16&0x8000|0x2800|b>>13&0x3ff))
				case safetensors.BF16:
					raw = binary.LittleEndian.AppendUint16(raw, uint16(b>>16))
				default:
					raw = binary.LittleEndian.AppendUint32(raw, b)
				}
			}
			return raw
		}})
	}
	if err := safetensors.Write(path, out, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
}
