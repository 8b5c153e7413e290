package cnntransformer

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/densenet"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/text/tokenizer"
	"lightbox/stdlib/weights"
)

// endOfText begins and ends captions of a new model.
const endOfText = "<|endoftext|>"

// Parts are what a new model is made of: a configuration whose ids of tokens are not known yet, and torchvision's weights
// of its encoder, a file or a directory. The decoder is drawn, the tokenizer learnt.
type Parts struct {
	Config   []byte // config.json
	DenseNet string
}

// Sized is a configuration with another number of tokens.
func Sized(config []byte, vocabulary int) ([]byte, error) {
	c, err := checkpoint.Keep(config)
	if err != nil {
		return nil, err
	}
	decoder, ok := c["decoder"].(map[string]any)
	if !ok {
		return nil, errors.New("config.json has no decoder")
	}
	decoder["vocab_size"] = vocabulary
	for _, key := range []string{"decoder_start_token_id", "eos_token_id"} {
		c[key] = vocabulary - 1
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	_, err = ReadConfig(raw)
	return raw, err
}

// Check holds the encoder's weights against the configuration, reading headers only.
func (p Parts) Check() error {
	m, err := New(p.Config)
	if err != nil {
		return err
	}
	a, params, err := p.encoder(m.(*Model))
	if err != nil {
		return err
	}
	return errors.Join(model.CheckWeights(a, params, ofDenseNet), a.Close())
}

// Join makes the model on the context's device, its files in dir: a byte-level BPE of at most as many tokens as the
// configuration says is learnt from the captions, all but the encoder is drawn from the seed.
func (p Parts) Join(ctx context.Context, dir string, captions []string, seed uint64) (model.Model, error) {
	c, err := ReadConfig(p.Config)
	if err != nil {
		return nil, err
	}
	files, err := tokenizer.TrainBPE(slices.Values(captions), tokenizer.TrainOptions{
		VocabSize: c.Decoder.VocabSize - 1, Added: []string{endOfText}, ByteLevel: true, ModelMaxLength: c.Decoder.MaxPositions,
		Roles: [][2]string{{"bos_token", endOfText}, {"eos_token", endOfText}, {"unk_token", endOfText}},
	})
	if err != nil {
		return nil, err
	}
	if err := files.Write(dir); err != nil {
		return nil, err
	}
	tok, err := files.Load()
	if err != nil {
		return nil, err
	}
	id, _ := tok.ID(endOfText)
	config := checkpoint.Stored(c.raw, Architecture, "cnn-transformer", "float32")
	config["decoder_start_token_id"], config["eos_token_id"] = id, id
	for name, v := range map[string]any{
		"config.json":            config,
		"generation_config.json": map[string]any{"bos_token_id": id, "eos_token_id": id, "pad_token_id": id},
		"preprocessor_config.json": map[string]any{ // torchvision's of densenet121, the sides scaled alike
			"image_processor_type": "ViTImageProcessor", "do_resize": true, "resample": 2,
			"size":       map[string]int{"height": c.Encoder.ImageSize, "width": c.Encoder.ImageSize},
			"do_rescale": true, "rescale_factor": 1.0 / 255, "do_normalize": true,
			"image_mean": []float64{0.485, 0.456, 0.406}, "image_std": []float64{0.229, 0.224, 0.225}, // ImageNet's
		},
	} {
		if err := checkpoint.WriteJSON(filepath.Join(dir, name), v); err != nil {
			return nil, err
		}
	}
	made, err := Init(ctx, dir, seed)
	if err != nil {
		return nil, err
	}
	m := made.(*Model)
	a, params, err := p.encoder(m)
	if err != nil {
		return nil, err
	}
	return m, model.LoadWeights(ctx, a, params, ofDenseNet)
}

// encoder opens the encoder's weights and lists what they are for.
func (p Parts) encoder(m *Model) (*safetensors.Archive, []nn.Named, error) {
	a, err := weights.Open(p.DenseNet)
	if err != nil {
		return nil, nil, err
	}
	params := slices.DeleteFunc(nn.State(m.net), func(q nn.Named) bool { return !strings.HasPrefix(q.Name, "encoder.") })
	return a, params, nil
}

// ofDenseNet are torchvision's names, with or without its classifier.
var ofDenseNet = model.Names{
	Canonical: func(s string) string { return "encoder." + densenet.Canonical(s) },
	Buffer:    func(s string) bool { return strings.HasPrefix(s, "encoder.classifier.") },
}
