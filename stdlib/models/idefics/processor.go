package idefics

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/vision"
)

// What stands for an image in a text, and what ends a turn of the instructed models.
const (
	around    = "<fake_token_around_image>"
	marker    = "<image>"
	picture   = around + marker + around
	utterance = "<end_of_utterance>"

	imageTokens = 3 // of picture
)

// processor turns an input into ids and pixels as transformers' IdeficsProcessor does, and writes the turns that it
// leaves to its caller.
type processor struct {
	*checkpoint.Files
	cfg        *Config
	images     vision.CLIPProcessor
	image, end int32  // ids of marker and of the tokenizer's end token, -1 without
	bos        string // stands before every text
	instructed bool   // the tokenizer knows utterance
}

func newProcessor(c *Config, f *checkpoint.Files) (*processor, error) {
	p := &processor{Files: f, cfg: c, end: -1, bos: f.Tok.SpecialTokens()["bos_token"]}
	for _, t := range []string{around, marker} {
		if _, ok := f.Tok.ID(t); !ok {
			return nil, fmt.Errorf("%s: no token %s, which stands for images", f.Tok.Path(), t)
		}
	}
	p.image, _ = f.Tok.ID(marker)
	if id, ok := f.Tok.Special("eos_token"); ok {
		p.end = id
	}
	if p.bos == "" {
		return nil, fmt.Errorf("%s: no bos_token, which begins every text of IDEFICS", f.Tok.Path())
	}
	if id, ok := f.Tok.ID(utterance); ok {
		p.instructed, p.End = true, id
		if !slices.Contains(p.EOS, id) {
			p.EOS = append(slices.Clone(p.EOS), id)
		}
	}
	return p, errors.Join(p.vocabulary(), p.readImages())
}

// vocabulary reports a tokenizer that has more tokens than both embeddings have rows.
func (p *processor) vocabulary() error {
	if n := p.cfg.vocabulary(); int(p.Tok.MaxID()) >= n {
		return fmt.Errorf("%s: token id %d; config.json's vocab_size and additional_vocab_size make %d: tokenizer of another model?", p.Tok.Path(), p.Tok.MaxID(), n)
	}
	return nil
}

// readImages reads the image settings.
func (p *processor) readImages() error {
	raw, path, err := p.Images()
	if err != nil {
		return err
	}
	if p.images, err = vision.ParseIdeficsProcessor(raw, path); err != nil {
		return err
	}
	want := p.cfg.Vision.ImageSize
	if w, h := p.images.OutputSize(2*want, want); w != want || h != want {
		return fmt.Errorf("%s: an image of %dx%d becomes %dx%d; the image encoder takes %dx%d", path, 2*want, want, w, h, want, want)
	}
	return nil
}

// settings are the choices that change pixels.
func (p *processor) settings() map[string]any {
	raw, err := json.Marshal(p.images)
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(err)
	}
	return out
}

// prompt renders the user's words for the model, up to where the answer begins. The base models continue what they read;
// the instructed ones answer in turns, which the checkpoint's own template writes if it has one. As in transformers'
// processor a text loses its outer spaces.
func (p *processor) prompt(words string, image bool) (string, error) {
	words = strings.Trim(words, " ")
	text, before := words, ""
	if image {
		text = picture + words
	}
	switch {
	case p.Template != nil:
		var err error
		if text, err = p.User(words, image); err != nil {
			return "", err
		}
		if image && !strings.Contains(text, picture) {
			if text, err = checkpoint.Expand(text, marker, picture); err != nil {
				return "", err
			}
		}
	case p.instructed:
		if before = "User:"; !image {
			before = "User: "
		}
		text = before + text + utterance + "\nAssistant:"
	}
	if !strings.HasPrefix(text, p.bos) {
		text = p.bos + text
	}
	return text, nil
}

// encode makes a sample. An answer follows the prompt after one space, but for one right behind the image.
func (p *processor) encode(in model.Input) (*model.Sample, error) {
	if err := checkpoint.Reserved(in, marker, around); err != nil {
		return nil, err
	}
	prompt, err := p.prompt(in.Prompt, in.Image != nil)
	if err != nil {
		return nil, err
	}
	s := &model.Sample{Text: prompt}
	if in.Image != nil {
		size := p.cfg.Vision.ImageSize
		s.Images, s.Size, s.Rows = 1, [2]int{size, size}, p.cfg.rows()
		if in.Image.Pix != nil {
			pixels, err := p.images.Process(in.Image)
			if err != nil {
				return nil, err
			}
			s.Pixels, s.Size = pixels.Data, [2]int{pixels.H, pixels.W}
		}
	}
	a := checkpoint.Answer{Separator: " ", End: p.End}
	if strings.HasSuffix(prompt, around) || prompt == p.bos {
		a.Separator = ""
	}
	p.Tokenize(s, prompt, in.Target, a)
	return s, p.cfg.fits(s)
}

// fits reports a sample that is too long.
func (c *Config) fits(s *model.Sample) error {
	return checkpoint.Fits(s, c.Text.MaxPositionEmbeddings, "max_position_embeddings")
}

// Encode renders the prompt, tokenises it and processes the image.
func (m *Model) Encode(in model.Input) (*model.Sample, error) {
	if m.proc == nil {
		return nil, errors.New("idefics: a model built from its configuration alone has no tokenizer")
	}
	s, err := m.proc.encode(in)
	if err != nil {
		return nil, fmt.Errorf("idefics: %w", err)
	}
	return s, nil
}

// Blank is a sample of an image of any size and so many tokens of text. The image comes first: no row is spared the
// attention to it.
func (m *Model) Blank(width, height, text, target int) (*model.Sample, error) {
	if width == 0 || height == 0 {
		s := checkpoint.Blank(0, text, target)
		return s, m.cfg.fits(s)
	}
	size := m.cfg.Vision.ImageSize
	s := checkpoint.Blank(imageTokens, text, target)
	s.IDs[0] = m.imageToken()
	s.Images, s.Pixels, s.Size, s.Rows = 1, make([]float32, 3*size*size), [2]int{size, size}, m.cfg.rows()
	return s, m.cfg.fits(s)
}

// Decode turns ids into text, special tokens left out.
func (m *Model) Decode(ids []int32) string { return m.proc.Tok.Decode(ids, true) }

// Piece is one token as the vocabulary writes it.
func (m *Model) Piece(id int32) string { return m.proc.Tok.TokenString(id) }
