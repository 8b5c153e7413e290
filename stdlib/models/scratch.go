package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/models/llava"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/text/tokenizer"
)

// Config is a LLaVA to be made from scratch. The names are transformers';
// zero fields have the default given.
type Config struct {
	Vision VisionConfig
	Text   TextConfig
	// VocabSize is the size of the tokenizer that New trains, special tokens and
	// the 256 bytes included, image and padding tokens not.
	VocabSize int
	// Prompts are texts besides the captions that the tokenizer should know.
	Prompts []string
}

// VisionConfig is the CLIP vision tower.
type VisionConfig struct {
	HiddenSize        int
	IntermediateSize  int // default four times HiddenSize
	NumHiddenLayers   int // the last one is not used: LLaVA takes the output of the one before
	NumAttentionHeads int
	ImageSize         int
	PatchSize         int
	// PadToSquare pads pictures to a square with the mean colour, as the original
	// LLaVA-1.5 did; otherwise the middle square is cut out, as Hugging Face's
	// processor does.
	PadToSquare bool
}

// TextConfig is the Llama decoder.
type TextConfig struct {
	HiddenSize            int
	IntermediateSize      int // default 8/3 of HiddenSize, rounded up to a multiple of 16
	NumHiddenLayers       int
	NumAttentionHeads     int
	NumKeyValueHeads      int     // default NumAttentionHeads
	MaxPositionEmbeddings int     // default 512
	RopeTheta             float64 // default 10000
	TieWordEmbeddings     bool
}

func (c Config) filled() Config {
	c.Prompts = slices.Clone(c.Prompts)
	if c.Vision.IntermediateSize == 0 {
		c.Vision.IntermediateSize = 4 * c.Vision.HiddenSize
	}
	if c.Text.IntermediateSize == 0 {
		c.Text.IntermediateSize = (c.Text.HiddenSize*8/3 + 15) / 16 * 16
	}
	if c.Text.NumKeyValueHeads == 0 {
		c.Text.NumKeyValueHeads = c.Text.NumAttentionHeads
	}
	if c.Text.MaxPositionEmbeddings == 0 {
		c.Text.MaxPositionEmbeddings = 512
	}
	if c.Text.RopeTheta == 0 {
		c.Text.RopeTheta = 10000
	}
	return c
}

// added are the tokens behind the trained vocabulary.
var added = []string{"<image>", "<pad>"}

// json is the config.json for an image token of that id. Its keys are those
// that every version of transformers with LLaVA reads.
func (c Config) json(image int) ([]byte, error) {
	const eos, bos = 2, 1
	return json.MarshalIndent(map[string]any{
		"architectures": []string{llava.Architecture}, "model_type": "llava",
		"image_token_index": image, "image_seq_length": (c.Vision.ImageSize / max(1, c.Vision.PatchSize)) * (c.Vision.ImageSize / max(1, c.Vision.PatchSize)),
		"projector_hidden_act": "gelu", "multimodal_projector_bias": true,
		"vision_feature_layer": -2, "vision_feature_select_strategy": "default",
		"tie_word_embeddings": c.Text.TieWordEmbeddings, "torch_dtype": "float32",
		"text_config": map[string]any{
			"model_type": "llama", "architectures": []string{"LlamaForCausalLM"},
			"vocab_size":  (c.VocabSize + len(added) + 7) / 8 * 8, // padded, as LLaVA's is
			"hidden_size": c.Text.HiddenSize, "intermediate_size": c.Text.IntermediateSize,
			"num_hidden_layers": c.Text.NumHiddenLayers, "num_attention_heads": c.Text.NumAttentionHeads,
			"num_key_value_heads": c.Text.NumKeyValueHeads, "max_position_embeddings": c.Text.MaxPositionEmbeddings,
			"rope_theta": c.Text.RopeTheta, "rms_norm_eps": 1e-5, "hidden_act": "silu", "initializer_range": 0.02,
			"tie_word_embeddings": c.Text.TieWordEmbeddings, "bos_token_id": bos, "eos_token_id": eos, "pad_token_id": image + 1,
		},
		"vision_config": map[string]any{
			"model_type": "clip_vision_model", "hidden_size": c.Vision.HiddenSize, "intermediate_size": c.Vision.IntermediateSize,
			"num_hidden_layers": c.Vision.NumHiddenLayers, "num_attention_heads": c.Vision.NumAttentionHeads,
			"image_size": c.Vision.ImageSize, "patch_size": c.Vision.PatchSize, "hidden_act": "quick_gelu",
			"projection_dim": c.Vision.HiddenSize,
		},
	}, "", "  ")
}

// skeleton builds the model without weights.
func (c Config) skeleton() (model.Model, error) {
	raw, err := c.json(c.VocabSize)
	if err != nil {
		return nil, err
	}
	return llava.New(raw)
}

var newOp = &step.Op{Name: "models.New", Version: "1", Seeded: true,
	RestsOn: func(step.Step) (kind, name string) { return "random weights", "" },
	Check: func(s step.Step) []error {
		p, ok := s.Params.(Config)
		if !ok {
			return nil
		}
		if len(s.In) == 0 {
			return []error{errors.New("no set of captions to train the tokenizer on")}
		}
		if _, err := p.skeleton(); err != nil {
			return []error{fmt.Errorf("config: %w", err)}
		}
		return nil
	},
	Run: runNew,
}

// New makes a LLaVA from scratch: a byte-fallback BPE tokenizer trained on the
// captions of the sets' split "train", and weights drawn as transformers draws
// them, from the run's seed. The artifact is a checkpoint directory in Hugging
// Face's layout, in f32. Train it with train.Full.
func New(c Config, sets ...data.Set) model.Systems {
	c = c.filled()
	var in []step.Ref
	for _, s := range sets {
		in = append(in, s.Ref())
	}
	return model.NewSystems(model.System{
		Labels: frame.Labels{}.Set("system", "new"), Base: step.New(newOp, c, in...), Skeleton: c.skeleton,
	})
}

func runNew(ctx *step.Context, dir string) error {
	c := ctx.Step().Params.(Config)
	var texts []string
	for i := range ctx.Step().In {
		r, err := data.Open(ctx.Input(i))
		if err != nil {
			return err
		}
		for k := range r.Len() {
			if ex := r.Example(k); ex.Split == "train" {
				texts = append(texts, ex.Caption)
				if ex.Prompt != "" {
					texts = append(texts, ex.Prompt)
				}
			}
		}
	}
	if len(texts) == 0 {
		return errors.New("models: the sets have no captions in their split \"train\"")
	}
	for range 100 { // often enough to become tokens
		texts = append(texts, c.Prompts...)
		texts = append(texts, "USER: ", "ASSISTANT:")
	}
	files, err := tokenizer.TrainBPE(slices.Values(texts), tokenizer.TrainOptions{
		VocabSize: c.VocabSize, Added: added, ModelMaxLength: c.Text.MaxPositionEmbeddings,
	})
	if err != nil {
		return err
	}
	if err := files.Write(dir); err != nil {
		return err
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return err
	}
	image, ok := tok.ID(added[0])
	if !ok {
		return fmt.Errorf("models: the trained tokenizer has no %s", added[0])
	}
	if err := c.writeConfigs(dir, int(image)); err != nil {
		return err
	}
	m, err := llava.Init(ctx, dir, ctx.Seed)
	if err != nil {
		return err
	}
	ctx.Logf("%s parameters, %d tokens in the vocabulary", model.Count(m.Params()), tok.VocabSize())
	return m.Save(dir, tensor.F32)
}

// chatTemplate is LLaVA-1.5's.
const chatTemplate = `{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}{# Render all text next #}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}`

// writeConfigs writes the files beside weights and tokenizer.
func (c Config) writeConfigs(dir string, image int) error {
	config, err := c.json(image)
	if err != nil {
		return err
	}
	size := c.Vision.ImageSize
	kind := "CLIPImageProcessor"
	if c.Vision.PadToSquare {
		kind = "LlavaImageProcessor"
	}
	pre, err := json.MarshalIndent(map[string]any{
		"image_processor_type": kind, "do_pad": c.Vision.PadToSquare, "processor_class": "LlavaProcessor",
		"do_convert_rgb": true, "do_resize": true, "resample": 3, "size": map[string]int{"shortest_edge": size},
		"do_center_crop": true, "crop_size": map[string]int{"height": size, "width": size},
		"do_rescale": true, "rescale_factor": 1.0 / 255, "do_normalize": true,
		"image_mean": []float64{0.48145466, 0.4578275, 0.40821073}, "image_std": []float64{0.26862954, 0.26130258, 0.27577711},
	}, "", "  ")
	if err != nil {
		return err
	}
	generation, err := json.MarshalIndent(map[string]any{"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": image + 1}, "", "  ")
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		raw  []byte
	}{
		{"config.json", config}, {"preprocessor_config.json", pre}, {"generation_config.json", generation}, {"chat_template.jinja", []byte(chatTemplate)},
	} {
		text := strings.TrimRight(string(f.raw), "\n")
		if f.name != "chat_template.jinja" {
			text += "\n"
		}
		if err := os.WriteFile(filepath.Join(dir, f.name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
