package clipllama

import (
	"errors"
	"fmt"
	"strings"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
)

// processor turns an input into ids and pixels as transformers' LlavaProcessor
// and LlavaNextProcessor do. The number of placeholder tokens follows from the
// model, not from the processor's patch_size and num_additional_image_tokens:
// files that lack or contradict those cannot shift the prompt by one.
type processor struct {
	*checkpoint.Files
	images  Images
	marker  string         // the image token as text, "<image>"
	changed map[string]any // image settings that differ from the file's
}

func newProcessor(m *Model, f *checkpoint.Files) (*processor, error) {
	p := &processor{Files: f, marker: f.Tok.TokenString(int32(m.Config.ImageTokenIndex))}
	if p.marker == "" {
		return nil, fmt.Errorf("%s: no token has the id %d that config.json gives as image_token_index", f.Tok.Path(), m.Config.ImageTokenIndex)
	}
	var err error
	p.images, err = m.kind.Images(m.Config, m.layout, f)
	if err := errors.Join(f.Vocabulary(m.Config.Text.VocabSize), err); err != nil {
		return nil, err
	}
	return p, nil
}

// prompt renders the user's words for the model, up to where the answer begins.
func (m *Model) prompt(words string, image bool) (string, error) {
	if m.proc.Template != nil {
		return m.proc.User(words, image)
	}
	if image {
		words = m.proc.marker + "\n" + words
	}
	return m.kind.Prompt(m.Config, words), nil
}

// encode makes a sample. An answer follows the prompt after one space, as the
// chat template writes it.
func (m *Model) encode(in model.Input) (*model.Sample, error) {
	p := m.proc
	if err := checkpoint.Reserved(in, p.marker); err != nil {
		return nil, err
	}
	prompt, err := m.prompt(in.Prompt, in.Image != nil)
	if err != nil {
		return nil, err
	}
	s := &model.Sample{Text: prompt}
	expanded := prompt
	if in.Image != nil {
		place, err := m.layout(in.Image.W, in.Image.H)
		if err != nil {
			return nil, err
		}
		if expanded, err = checkpoint.Expand(prompt, p.marker, strings.Repeat(p.marker, m.tokens(place))); err != nil {
			return nil, err
		}
		m.lay(s, place)
		if in.Image.Pix != nil {
			if s.Pixels, err = p.images.Process(in.Image); err != nil {
				return nil, err
			}
		}
	}
	p.Tokenize(s, expanded, in.Target, checkpoint.Answer{Separator: " ", Special: p.AddsBOS(expanded), End: p.End})
	return s, m.fits(s)
}

// lay sets what an image's place says of a sample.
func (m *Model) lay(s *model.Sample, p Place) {
	size := m.Config.Vision.ImageSize
	s.Images, s.Size, s.Rows = 1, [2]int{size, size}, p.Views*m.Config.ViewRows()
	if p.Rows != nil {
		s.Extra = p
	}
}

func (m *Model) fits(s *model.Sample) error {
	return checkpoint.Fits(s, m.Config.Text.MaxPositionEmbeddings, "max_position_embeddings")
}

// Encode renders the prompt, tokenises it and processes the image.
func (m *Model) Encode(in model.Input) (*model.Sample, error) {
	if m.proc == nil {
		return nil, fmt.Errorf("%s: a model built from its configuration alone has no tokenizer", m.kind.Name)
	}
	s, err := m.encode(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.kind.Name, err)
	}
	return s, nil
}

// Blank is a sample of an image of any size and so many tokens of text.
func (m *Model) Blank(width, height, text, target int) (*model.Sample, error) {
	if width == 0 || height == 0 {
		s := checkpoint.Blank(0, text, target)
		return s, m.fits(s)
	}
	place, err := m.layout(width, height)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.kind.Name, err)
	}
	n, size := m.tokens(place), m.Config.Vision.ImageSize
	s := checkpoint.Blank(n, text, target)
	for i := range n {
		s.IDs[i] = int32(m.Config.ImageTokenIndex)
	}
	m.lay(s, place)
	s.Pixels = make([]float32, place.Views*3*size*size)
	return s, m.fits(s)
}

// Decode turns ids into text, special tokens left out.
func (m *Model) Decode(ids []int32) string { return m.proc.Tok.Decode(ids, true) }

// Piece is one token as the vocabulary writes it.
func (m *Model) Piece(id int32) string { return m.proc.Tok.TokenString(id) }
