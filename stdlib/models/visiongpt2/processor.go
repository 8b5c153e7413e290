package visiongpt2

import (
	"encoding/json"
	"errors"
	"fmt"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/vision"
)

// processor turns an input into ids and pixels.
type processor struct {
	*checkpoint.Files
	cfg   *Config
	image vision.CLIPProcessor
}

func newProcessor(c *Config, f *checkpoint.Files) (*processor, error) {
	p := &processor{Files: f, cfg: c}
	raw, path, err := f.Images()
	if err != nil {
		return nil, err
	}
	if p.image, err = vision.ParseViTProcessor(raw, path); err != nil {
		return nil, err
	}
	want := c.Encoder.ImageSize
	if w, h := p.image.OutputSize(2*want, want); w != want || h != want {
		return nil, fmt.Errorf("%s: an image of %dx%d becomes %dx%d; the image encoder takes %dx%d", path, 2*want, want, w, h, want, want)
	}
	return p, f.Vocabulary(c.Decoder.VocabSize)
}

// settings are the choices that change pixels.
func (p *processor) settings() map[string]any {
	raw, err := json.Marshal(p.image)
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(err)
	}
	return out
}

// encode makes a sample: the start token, the prompt, the caption.
func (p *processor) encode(in model.Input) (*model.Sample, error) {
	if in.Image == nil {
		return nil, model.ErrNoImage
	}
	size := p.cfg.Encoder.ImageSize
	s := &model.Sample{Text: in.Prompt, Images: 1, Size: [2]int{size, size}, Rows: p.cfg.Encoder.Rows()}
	if in.Image.Pix != nil {
		pixels, err := p.image.Process(in.Image)
		if err != nil {
			return nil, err
		}
		s.Pixels, s.Size = pixels.Data, [2]int{pixels.H, pixels.W}
	}
	separator := ""
	if in.Prompt != "" {
		separator = " "
	}
	p.Tokenize(s, in.Prompt, in.Target, checkpoint.Answer{Separator: separator, End: p.End})
	s.IDs = append([]int32{int32(p.cfg.Start)}, s.IDs...)
	s.Labels = append([]int32{model.Ignore}, s.Labels...)
	return s, checkpoint.Fits(s, p.cfg.Decoder.Positions, "n_positions")
}

// Encode tokenises prompt and caption and processes the image.
func (m *Model) Encode(in model.Input) (*model.Sample, error) {
	if m.proc == nil {
		return nil, errors.New("visiongpt2: a model built from its configuration alone has no tokenizer")
	}
	s, err := m.proc.encode(in)
	if err != nil {
		return nil, fmt.Errorf("visiongpt2: %w", err)
	}
	return s, nil
}

// Blank is a sample of an image of any size and so many tokens of text, the start token among them.
func (m *Model) Blank(width, height, text, target int) (*model.Sample, error) {
	if width == 0 || height == 0 {
		return nil, fmt.Errorf("visiongpt2: %w", model.ErrNoImage)
	}
	size := m.cfg.Encoder.ImageSize
	s := checkpoint.Blank(0, text, target)
	s.Images, s.Pixels, s.Size, s.Rows = 1, make([]float32, 3*size*size), [2]int{size, size}, m.cfg.Encoder.Rows()
	return s, checkpoint.Fits(s, m.cfg.Decoder.Positions, "n_positions")
}

// Decode turns ids into text, special tokens left out.
func (m *Model) Decode(ids []int32) string { return m.proc.Tok.Decode(ids, true) }

// Piece is one token as the vocabulary writes it.
func (m *Model) Piece(id int32) string { return m.proc.Tok.TokenString(id) }
