package dual

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/davit"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/score/encoders"
)

// The kinds of encoders that Tiny makes and Open reads.
const (
	CLIP            = "CLIP"
	BiomedCLIP      = "BiomedCLIP"
	MedImageInsight = "MedImageInsight"
)

// tinySeed draws the weights of tiny checkpoints, tinyStd is their standard deviation.
const (
	tinySeed = 1
	tinyStd  = 0.1
	tinyDim  = 16
)

// Tiny writes a small random checkpoint of the kind into dir, in the layout of the published one: for rehearsals. It has
// the same bytes every time.
func Tiny(dir, kind string) error {
	write, ok := map[string]func(string) error{CLIP: tinyCLIP, BiomedCLIP: tinyBiomed, MedImageInsight: tinyInsight}[kind]
	if !ok {
		return fmt.Errorf("no dual encoder %q; there are %s, %s and %s", kind, CLIP, BiomedCLIP, MedImageInsight)
	}
	if err := write(dir); err != nil {
		return fmt.Errorf("a tiny %s checkpoint: %w", kind, err)
	}
	return nil
}

// put writes a file of dir: text as it is, anything else as JSON.
func put(dir, name string, v any) error {
	raw, ok := v.(string)
	if !ok {
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		raw = string(b) + "\n"
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(raw), 0o644)
}

// putWeights draws the network's weights and writes them.
func putWeights(dir, name string, net any) error {
	var ts []safetensors.Tensor
	for _, p := range nn.Params(net) {
		ts = append(ts, safetensors.Float32(p.Name, safetensors.F32, p.Shape, p.Draw(nn.NewRandom(tinySeed, p.Name), tinyStd)))
	}
	ts = append(ts, safetensors.Float32("logit_scale", safetensors.F32, nil, []float32{4.6052}))
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return safetensors.Write(path, ts, nil)
}

// putWords writes a vocabulary of CLIP's kind without merges: the bytes, the bytes that end a word, and the two tokens of
// begin and end. It returns its size.
func putWords(dir, folder string) (int, error) {
	vocab := map[string]int{}
	var bytes []string
	next := rune(256)
	for b := range 256 { // GPT-2's visible characters for bytes
		r := rune(b)
		if !('!' <= r && r <= '~' || 0xA1 <= r && r <= 0xAC || 0xAE <= r && r <= 0xFF) {
			r = next
			next++
		}
		bytes = append(bytes, string(r))
	}
	for _, b := range bytes {
		vocab[b] = len(vocab)
	}
	for _, b := range bytes {
		vocab[b+"</w>"] = len(vocab)
	}
	vocab["<|startoftext|>"] = len(vocab)
	vocab["<|endoftext|>"] = len(vocab)
	err := put(dir, folder+"vocab.json", vocab)
	for name, v := range map[string]any{"merges.txt": "#version: 0.2\n", "tokenizer_config.json": map[string]any{
		"tokenizer_class": "CLIPTokenizer", "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>",
		"pad_token": "<|endoftext|>", "do_lower_case": true, "model_max_length": 77}} {
		if err == nil {
			err = put(dir, folder+name, v)
		}
	}
	return len(vocab), err
}

func tinyCLIP(dir string) error {
	vocab, err := putWords(dir, "")
	if err != nil {
		return err
	}
	tower := func(more map[string]any) map[string]any {
		for k, v := range map[string]any{"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "hidden_act": "quick_gelu"} {
			more[k] = v
		}
		return more
	}
	config := map[string]any{"model_type": "clip", "architectures": []string{"CLIPModel"}, "projection_dim": tinyDim, "torch_dtype": "float32",
		"text_config":   tower(map[string]any{"vocab_size": vocab, "max_position_embeddings": 77, "bos_token_id": vocab - 2, "eos_token_id": vocab - 1}),
		"vision_config": tower(map[string]any{"image_size": 32, "patch_size": 8})}
	if err := put(dir, "config.json", config); err != nil {
		return err
	}
	if err := put(dir, "preprocessor_config.json", map[string]any{"image_processor_type": "CLIPImageProcessor", "size": map[string]int{"shortest_edge": 32},
		"crop_size": map[string]int{"height": 32, "width": 32}}); err != nil {
		return err
	}
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return err
	}
	net, err := newCLIP(raw)
	if err != nil {
		return err
	}
	return putWeights(dir, "model.safetensors", net)
}

func tinyBiomed(dir string) error {
	pieces := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	for c := '!'; c <= '~'; c++ {
		if c < 'A' || c > 'Z' {
			pieces = append(pieces, string(c), "##"+string(c))
		}
	}
	config := map[string]any{
		"model_cfg": map[string]any{"embed_dim": tinyDim,
			"vision_cfg": map[string]any{"timm_model_name": "vit_tiny_patch8_32", "timm_model_pretrained": false, "timm_pool": "", "timm_proj": "linear", "image_size": 32},
			"text_cfg": map[string]any{"hf_model_name": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract", "hf_proj_type": "mlp",
				"hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": 256}},
		"preprocess_cfg": map[string]any{"mean": []float64{0.48145466, 0.4578275, 0.40821073}, "std": []float64{0.26862954, 0.26130258, 0.27577711}},
	}
	c, err := encoders.ParseConfig([]byte(`{"model_type":"bert","hidden_size":64,"num_hidden_layers":2,"num_attention_heads":1,"intermediate_size":96,"max_position_embeddings":256}`))
	if err != nil {
		return err
	}
	c.VocabSize = len(pieces)
	bert, err := encoders.NewPart(c)
	if err != nil {
		return err
	}
	middle := (c.HiddenSize + tinyDim) / 2
	for name, v := range map[string]any{"open_clip_config.json": config, "vocab.txt": strings.Join(pieces, "\n") + "\n",
		"tokenizer_config.json": map[string]any{"tokenizer_class": "BertTokenizer", "do_lower_case": true}} {
		if err := put(dir, name, v); err != nil {
			return err
		}
	}
	return putWeights(dir, "open_clip_model.safetensors", &biomedNet{buildTimm(24, 96, 2, 3, 8, 32), nn.NewLinear(24, tinyDim, false), bert,
		nn.NewLinear(c.HiddenSize, middle, false), nn.NewLinear(middle, tinyDim, false)})
}

func tinyInsight(dir string) error {
	vocab, err := putWords(dir, "language_model/clip_tokenizer_4.16.2/")
	if err != nil {
		return err
	}
	c := &insightConfig{}
	c.Image.Name, c.Image.Size, c.Image.Mean, c.Image.Std = "davit_v1", [2]int{64, 64}, [3]float64{0.485, 0.456, 0.406}, [3]float64{0.229, 0.224, 0.225}
	c.Image.Spec = davit.Published()
	c.Image.Spec.EmbedDims, c.Image.Spec.WindowSize = []int{16, 16, 24, 32}, 3
	c.Image.Spec.NumHeads, c.Image.Spec.Depths = []int{2, 2, 3, 4}, []int{1, 1, 2, 1}
	c.Image.Spec.NumGroups = slices.Clone(c.Image.Spec.NumHeads)
	bidirectional := false
	c.Lang = insightLang{Name: "transformer", Tokenizer: "clip", Context: 77, Width: 24, Heads: 3, Layers: 2, Causal: &bidirectional}
	c.Model.Dim, c.Augment.Interpolation = tinyDim, "bicubic"
	raw, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	if err := put(dir, "config.yaml", string(raw)); err != nil {
		return err
	}
	return putWeights(dir, "vision_model/medimageinsigt-v1.0.0.pt", &insightNet{davit.New(c.Image.Spec), newInsightText(vocab, c.Lang),
		nn.NewParam(nn.InitNormal, c.Image.Spec.Out(), tinyDim), nn.NewParam(nn.InitNormal, c.Lang.Width, tinyDim)})
}
