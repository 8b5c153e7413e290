package qwenvl

import (
	"errors"
	"fmt"
	"strings"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
)

// processor turns an input into ids and pixels as transformers' Qwen2VLProcessor does.
type processor struct {
	*checkpoint.Files
	cfg      *Config
	image    *imageProcessor
	marker   string   // the image token as text, "<|image_pad|>"
	reserved []string // what only the template may write
	end      int32    // what the template ends an answer with, "<|im_end|>"
}

func newProcessor(c *Config, f *checkpoint.Files) (*processor, error) {
	p := &processor{Files: f, cfg: c, marker: f.Tok.TokenString(int32(c.ImageTokenID)), end: f.End}
	if p.marker == "" {
		return nil, fmt.Errorf("%s: no token has the id %d that config.json gives as image_token_id", f.Tok.Path(), c.ImageTokenID)
	}
	if id, ok := f.Tok.ID("<|im_end|>"); ok {
		p.end = id
	}
	p.reserved = []string{p.marker, "<|vision_start|>", "<|vision_end|>", f.Tok.TokenString(int32(c.VideoTokenID))}
	var err error
	p.image, err = readImages(f, &c.Vision)
	return p, errors.Join(f.Vocabulary(c.Text.VocabSize), err)
}

// prompt renders the user's words for the model, up to where the answer begins: ChatML with the system line of published
// templates, which every published checkpoint has.
func (p *processor) prompt(words string, image bool) (string, error) {
	if p.Template != nil {
		return p.User(words, image)
	}
	if image {
		words = "<|vision_start|>" + p.marker + "<|vision_end|>" + words
	}
	return "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n" + words + "<|im_end|>\n<|im_start|>assistant\n", nil
}

// encode makes a sample. An answer begins on the assistant's own line and ends with <|im_end|>, which is learnt; the line
// break that the template writes behind it is not.
func (p *processor) encode(in model.Input) (*model.Sample, error) {
	if err := checkpoint.Reserved(in, p.reserved...); err != nil {
		return nil, err
	}
	prompt, err := p.prompt(in.Prompt, in.Image != nil)
	if err != nil {
		return nil, err
	}
	s := &model.Sample{Text: prompt}
	expanded := prompt
	if in.Image != nil {
		g, err := p.image.grid(in.Image.W, in.Image.H)
		if err == nil && in.Image.Pix != nil {
			s.Pixels, g, err = p.image.process(in.Image)
		}
		if err != nil {
			return nil, err
		}
		n := p.cfg.Vision.tokens(g)
		if expanded, err = checkpoint.Expand(prompt, p.marker, strings.Repeat(p.marker, n)); err != nil {
			return nil, err
		}
		s.Images, s.Rows, s.Extra = 1, n, g
	}
	p.Tokenize(s, expanded, in.Target, checkpoint.Answer{Special: p.AddsBOS(expanded), End: p.end})
	return s, checkpoint.Fits(s, p.cfg.Text.MaxPositionEmbeddings, "max_position_embeddings")
}

// Encode renders the prompt, tokenises it and processes the image.
func (m *Model) Encode(in model.Input) (*model.Sample, error) {
	if m.proc == nil {
		return nil, errors.New("qwenvl: a model built from its configuration alone has no tokenizer")
	}
	s, err := m.proc.encode(in)
	if err != nil {
		return nil, fmt.Errorf("qwenvl: %w", err)
	}
	return s, nil
}

// Blank is a sample of an image of so many pixels and so many tokens of text.
func (m *Model) Blank(width, height, text, target int) (*model.Sample, error) {
	if width == 0 || height == 0 {
		s := checkpoint.Blank(0, text, target)
		return s, checkpoint.Fits(s, m.cfg.Text.MaxPositionEmbeddings, "max_position_embeddings")
	}
	g, err := m.images().grid(width, height)
	if err != nil {
		return nil, fmt.Errorf("qwenvl: %w", err)
	}
	v := &m.cfg.Vision
	n := v.tokens(g)
	s := checkpoint.Blank(n, text, target)
	for i := range n {
		s.IDs[i] = int32(m.cfg.ImageTokenID)
	}
	s.Images, s.Pixels, s.Rows, s.Extra = 1, make([]float32, g.H*g.W*v.InChannels*v.PatchSize*v.PatchSize), n, g
	return s, checkpoint.Fits(s, m.cfg.Text.MaxPositionEmbeddings, "max_position_embeddings")
}

// Decode turns ids into text, special tokens left out.
func (m *Model) Decode(ids []int32) string { return m.proc.Tok.Decode(ids, true) }

// Piece is one token as the vocabulary writes it.
func (m *Model) Piece(id int32) string { return m.proc.Tok.TokenString(id) }
