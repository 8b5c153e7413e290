package llava

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/vision"
)

// processor turns an input into ids and pixels as transformers' LlavaProcessor
// does. The number of placeholder tokens follows from the model, not from the
// processor's patch_size and num_additional_image_tokens: files that lack or
// contradict those cannot shift the prompt by one.
type processor struct {
	*checkpoint.Files
	cfg    *Config
	image  vision.CLIPProcessor
	marker string // the image token as text, "<image>"
}

func newProcessor(c *Config, f *checkpoint.Files) (*processor, error) {
	p := &processor{Files: f, cfg: c, marker: f.Tok.TokenString(int32(c.ImageTokenIndex))}
	if p.marker == "" {
		return nil, fmt.Errorf("%s: no token has the id %d that config.json gives as image_token_index", f.Tok.Path(), c.ImageTokenIndex)
	}
	if err := errors.Join(f.Vocabulary(c.Text.VocabSize), p.readImage()); err != nil {
		return nil, err
	}
	return p, nil
}

// readImage reads the image settings.
func (p *processor) readImage() error {
	raw, path, err := p.Images()
	if err != nil {
		return err
	}
	if p.image, err = vision.ParseCLIPProcessor(raw, path); err != nil {
		return err
	}
	want := p.cfg.Vision.ImageSize
	// A square image ends at the size of every image when a crop or a fixed size is set.
	if w, h := p.image.OutputSize(2*want, want); w != want || h != want {
		return fmt.Errorf("%s: an image of %dx%d becomes %dx%d; the image encoder takes %dx%d", path, 2*want, want, w, h, want, want)
	}
	return nil
}

// settings are the choices that change pixels. HF's processor crops the middle;
// the original LLaVA-1.5 pads to a square (do_pad): results record which.
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

// prompt renders the user's words for the model, up to where the answer begins.
func (p *processor) prompt(words string, image bool) (string, error) {
	if p.Template != nil {
		return p.User(words, image)
	}
	if image {
		words = p.marker + "\n" + words
	}
	return "USER: " + words + " ASSISTANT:", nil // the prompt of LLaVA-1.5
}

// encode makes a sample. An answer follows the prompt after one space, as the
// chat template writes it.
func (p *processor) encode(in model.Input) (*model.Sample, error) {
	if err := checkpoint.Reserved(in, p.marker); err != nil {
		return nil, err
	}
	prompt, err := p.prompt(in.Prompt, in.Image != nil)
	if err != nil {
		return nil, err
	}
	s := &model.Sample{Text: prompt}
	expanded := prompt
	if in.Image != nil {
		n := p.cfg.imageTokens()
		if expanded, err = checkpoint.Expand(prompt, p.marker, strings.Repeat(p.marker, n)); err != nil {
			return nil, err
		}
		pixels, err := p.image.Process(in.Image)
		if err != nil {
			return nil, err
		}
		s.Images, s.Pixels, s.Size, s.Rows = 1, pixels.Data, [2]int{pixels.H, pixels.W}, n
	}
	p.Tokenize(s, expanded, in.Target, checkpoint.Answer{Separator: " ", Special: p.AddsBOS(expanded), End: p.End})
	return s, checkpoint.Fits(s, p.cfg.Text.MaxPositionEmbeddings, "max_position_embeddings")
}

// Encode renders the prompt, tokenises it and processes the image.
func (m *Model) Encode(in model.Input) (*model.Sample, error) {
	if m.proc == nil {
		return nil, errors.New("llava: a model built from its configuration alone has no tokenizer")
	}
	s, err := m.proc.encode(in)
	if err != nil {
		return nil, fmt.Errorf("llava: %w", err)
	}
	return s, nil
}

// Blank is a sample of an image of any size and so many tokens of text.
func (m *Model) Blank(width, height, text, target int) (*model.Sample, error) {
	if width == 0 || height == 0 {
		s := checkpoint.Blank(0, text, target)
		return s, checkpoint.Fits(s, m.cfg.Text.MaxPositionEmbeddings, "max_position_embeddings")
	}
	n, size := m.cfg.imageTokens(), m.cfg.Vision.ImageSize
	s := checkpoint.Blank(n, text, target)
	for i := range n {
		s.IDs[i] = int32(m.cfg.ImageTokenIndex)
	}
	s.Images, s.Pixels, s.Size, s.Rows = 1, make([]float32, 3*size*size), [2]int{size, size}, n
	return s, checkpoint.Fits(s, m.cfg.Text.MaxPositionEmbeddings, "max_position_embeddings")
}

// Decode turns ids into text, special tokens left out.
func (m *Model) Decode(ids []int32) string { return m.proc.Tok.Decode(ids, true) }

// Piece is one token as the vocabulary writes it.
func (m *Model) Piece(id int32) string { return m.proc.Tok.TokenString(id) }
