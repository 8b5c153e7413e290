package moondream

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
)

// marker stands for the image in a rendered prompt. It is text to the tokenizer: the code puts features there itself.
const marker = "<image>"

// processor turns an input into ids and pixels. There is no image token: placeholders are BOS, between BOS and the text.
type processor struct {
	*checkpoint.Files
	cfg      *Config
	bos, eos int32
}

func newProcessor(c *Config, f *checkpoint.Files) (*processor, error) {
	p := &processor{Files: f, cfg: c, bos: c.Tokens.BOS, eos: c.Tokens.EOS}
	if c.Form != Overlap {
		for role, id := range map[string]*int32{"bos_token": &p.bos, "eos_token": &p.eos} {
			var ok bool
			if *id, ok = f.Tok.Special(role); !ok {
				return nil, fmt.Errorf("%s: the tokenizer names no %s", f.Dir, role)
			}
		}
	}
	return p, errors.Join(f.Vocabulary(c.Text.VocabSize), p.templates())
}

// templates reports template tokens that no vocabulary has.
func (p *processor) templates() error {
	if p.cfg.Form != Overlap {
		return nil
	}
	t := &p.cfg.Tokens
	for _, id := range slices.Concat(t.Templates.Caption["normal"], t.Templates.Query.Prefix, t.Templates.Query.Suffix, []int32{t.BOS, t.EOS, max(0, t.Answer)}) {
		if id < 0 || int(id) >= p.cfg.Text.VocabSize {
			return fmt.Errorf("config.json: token %d of 2025's templates is beyond the vocabulary of %d", id, p.cfg.Text.VocabSize)
		}
	}
	return nil
}

// piece is a part of a prompt: text, or ids that 2025's templates give.
type piece struct {
	text string
	ids  []int32
}

// prompt is what follows the image, up to where the answer begins. In 2025 a question goes into the template "query", and
// no question asks for a caption of normal length. The code of 2025-06 appends the query's suffix twice.
func (p *processor) prompt(question string, image bool) []piece {
	if p.cfg.Form != Overlap {
		return []piece{{text: "\n\nQuestion: " + question + "\n\nAnswer:"}}
	}
	t := &p.cfg.Tokens.Templates
	if caption := t.Caption["normal"]; question == "" && image && caption != nil {
		return []piece{{ids: caption}}
	}
	if p.cfg.Tokens.Answer < 0 {
		return []piece{{ids: t.Query.Prefix}, {text: " " + question}, {ids: t.Query.Suffix}}
	}
	return []piece{{ids: t.Query.Prefix}, {text: question}, {ids: t.Query.Suffix}, {ids: t.Query.Suffix}}
}

// encode makes a sample. Prompt and answer are tokenised apart, as the official notebooks do for finetuning; 2024's puts a
// space before the answer, 2025's none.
func (p *processor) encode(in model.Input) (*model.Sample, error) {
	if err := checkpoint.Reserved(in, marker); err != nil {
		return nil, err
	}
	s := &model.Sample{IDs: []int32{p.bos}}
	if in.Image != nil {
		n := p.cfg.Vision.patches()
		s.Text = marker
		s.IDs = slices.Repeat(s.IDs, 1+n)
		size := p.cfg.Vision.CropSize
		_, _, g := p.cfg.plan(in.Image.W, in.Image.H)
		if in.Image.Pix != nil {
			s.Pixels, g = p.cfg.process(in.Image)
		}
		s.Images, s.Size, s.Rows, s.Extra = 1, [2]int{size, size}, n, g
	}
	for _, part := range p.prompt(in.Prompt, in.Image != nil) {
		for _, id := range part.ids {
			s.Text += p.Tok.Decode([]int32{id}, false)
		}
		s.Text += part.text
		s.IDs = append(s.IDs, part.ids...)
		s.IDs = append(s.IDs, p.Tok.Encode(part.text, p.cfg.Form == Overlap)...)
	}
	s.Labels = slices.Repeat([]int32{model.Ignore}, len(s.IDs))
	if in.Target != "" {
		answer := in.Target
		if p.cfg.Form != Overlap {
			answer = " " + answer
		}
		s.Text += answer
		ids := p.Tok.Encode(answer, p.cfg.Form == Overlap)
		if len(ids) == 0 || ids[len(ids)-1] != p.eos {
			ids = append(ids, p.eos)
		}
		s.IDs, s.Labels = append(s.IDs, ids...), append(s.Labels, ids...)
	}
	return s, p.cfg.fits(s)
}

func (c *Config) fits(s *model.Sample) error {
	key := "max_position_embeddings"
	if c.Form == Overlap {
		key = "text.max_context"
	}
	return checkpoint.Fits(s, c.Text.MaxPositionEmbeddings, key)
}

// Encode renders the prompt, tokenises it and processes the image.
func (m *Model) Encode(in model.Input) (*model.Sample, error) {
	if m.proc == nil {
		return nil, errors.New("moondream: a model built from its configuration alone has no tokenizer")
	}
	s, err := m.proc.encode(in)
	if err != nil {
		return nil, fmt.Errorf("moondream: %w", err)
	}
	return s, nil
}

// Blank is a sample of an image of that size and so many tokens of text, BOS among them.
func (m *Model) Blank(width, height, text, target int) (*model.Sample, error) {
	n, size := m.cfg.Vision.patches(), m.cfg.Vision.CropSize
	if width == 0 || height == 0 {
		n = 0
	}
	s := checkpoint.Blank(n, text, target)
	if n > 0 {
		_, _, g := m.cfg.plan(width, height)
		s.Images, s.Pixels, s.Size, s.Rows, s.Extra = 1, make([]float32, g.views()*3*size*size), [2]int{size, size}, n, g
	}
	return s, m.cfg.fits(s)
}

// Decode turns ids into text, special tokens left out. The official code strips the space before an answer.
func (m *Model) Decode(ids []int32) string { return strings.TrimSpace(m.proc.Tok.Decode(ids, true)) }

// Piece is one token as the vocabulary writes it.
func (m *Model) Piece(id int32) string { return m.proc.Tok.TokenString(id) }
