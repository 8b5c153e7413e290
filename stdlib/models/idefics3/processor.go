package idefics3

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
)

// Tokens that the processor writes around images.
const (
	imageToken  = "<image>"
	fakeToken   = "<fake_token_around_image>" // before every view, and after the last
	globalToken = "<global-img>"              // before the view of the whole image
	endToken    = "<end_of_utterance>"        // after a turn
)

// processor turns an input into ids and pixels as transformers' Idefics3Processor does. The number of placeholder tokens
// follows from the model and the size of a view, not from the processor's image_seq_len: files that lack or contradict
// it cannot shift the prompt.
type processor struct {
	*checkpoint.Files
	cfg    *Config
	images *imageProcessor
}

func newProcessor(c *Config, f *checkpoint.Files) (*processor, error) {
	p := &processor{Files: f, cfg: c}
	if got := f.Tok.TokenString(int32(c.ImageTokenID)); got != imageToken {
		return nil, fmt.Errorf("%s: the token with the id %d that config.json gives as image_token_id is %q; want %q", f.Tok.Path(), c.ImageTokenID, got, imageToken)
	}
	if _, ok := f.Tok.ID(fakeToken); !ok {
		return nil, fmt.Errorf("%s: no token %s, which stands around images", f.Tok.Path(), fakeToken)
	}
	var err error
	if p.images, err = readImages(f, c); err != nil {
		return nil, err
	}
	// A turn ends with endToken, whatever the files call eos_token: SmolVLM's first generation_config.json names 2.
	if end, ok := f.Tok.ID(endToken); ok {
		f.End = end
		if !slices.Contains(f.EOS, end) {
			f.EOS = append(slices.Clone(f.EOS), end)
		}
	}
	return p, f.Vocabulary(c.Text.VocabSize)
}

// prompt renders the user's words for the model, up to where the answer begins.
func (p *processor) prompt(words string, image bool) (string, error) {
	if p.Template != nil {
		return p.User(words, image)
	}
	mark := " "
	if image {
		mark = imageToken
	}
	return "<|im_start|>User:" + mark + words + endToken + "\nAssistant:", nil // SmolVLM's prompt
}

// expansion is what stands in the prompt for an image: a line per row of views, an empty line, the view of the whole; of
// an image that is not split the last alone.
func expansion(l layout, viewTokens int) string {
	rows := strings.Repeat(imageToken, viewTokens)
	var b strings.Builder
	for r := range l.rows {
		for c := range l.cols {
			fmt.Fprintf(&b, "%s<row_%d_col_%d>%s", fakeToken, r+1, c+1, rows)
		}
		b.WriteString("\n")
	}
	if l.rows > 0 {
		b.WriteString("\n")
	}
	b.WriteString(fakeToken + globalToken + rows + fakeToken)
	return b.String()
}

// encode makes a sample. An answer follows the prompt after one space and ends its turn, as the chat template writes it.
func (p *processor) encode(in model.Input) (*model.Sample, error) {
	if err := checkpoint.Reserved(in, imageToken); err != nil {
		return nil, err
	}
	prompt, err := p.prompt(in.Prompt, in.Image != nil)
	if err != nil {
		return nil, err
	}
	s := &model.Sample{Text: prompt}
	expanded := prompt
	if in.Image != nil {
		l, err := p.images.layout(in.Image.W, in.Image.H)
		if err != nil {
			return nil, err
		}
		if expanded, err = checkpoint.Expand(prompt, imageToken, expansion(l, p.cfg.viewTokens(p.images.View.Longest))); err != nil {
			return nil, err
		}
		if in.Image.Pix != nil {
			if s.Pixels, err = p.images.process(in.Image, l); err != nil {
				return nil, err
			}
		}
		p.cfg.put(s, p.images.View.Longest, l)
	}
	p.Tokenize(s, expanded, in.Target, checkpoint.Answer{Separator: " ", Special: p.AddsBOS(expanded), End: p.End})
	return s, p.cfg.holds(s)
}

// put notes what a sample has of views of size x size.
func (c *Config) put(s *model.Sample, size int, l layout) {
	s.Images, s.Size = 1, [2]int{size, size}
	s.Rows = l.views() * c.side(size) * c.side(size)
}

func (c *Config) holds(s *model.Sample) error {
	return checkpoint.Fits(s, c.Text.MaxPositionEmbeddings, "max_position_embeddings")
}

// Encode renders the prompt, tokenises it and processes the image.
func (m *Model) Encode(in model.Input) (*model.Sample, error) {
	if m.proc == nil {
		return nil, errors.New("idefics3: a model built from its configuration alone has no tokenizer")
	}
	s, err := m.proc.encode(in)
	if err != nil {
		return nil, fmt.Errorf("idefics3: %w", err)
	}
	return s, nil
}

// images is the image processor, or its sketch in a model without files.
func (m *Model) images() *imageProcessor {
	if m.proc == nil {
		return m.cfg.sketch()
	}
	return m.proc.images
}

// expanded are the ids of what an image takes in the prompt. It begins and ends with a special token, so they do not
// depend on what stands around it. Without a tokenizer every tag and every group of line ends counts as one.
func (m *Model) expanded(l layout, size int) []int32 {
	n := m.cfg.viewTokens(size)
	if m.proc != nil {
		return m.proc.Tok.Encode(expansion(l, n), false)
	}
	view := slices.Concat([]int32{0, 0}, slices.Repeat([]int32{int32(m.cfg.ImageTokenID)}, n))
	var ids []int32
	for range l.rows { // the last line end and the empty line are one token
		ids = append(append(ids, slices.Repeat(view, l.cols)...), 0)
	}
	return append(append(ids, view...), 0)
}

// Blank is a sample of an image of any size and so many tokens of text.
func (m *Model) Blank(width, height, text, target int) (*model.Sample, error) {
	if width == 0 || height == 0 {
		s := checkpoint.Blank(0, text, target)
		return s, m.cfg.holds(s)
	}
	p := m.images()
	size := p.View.Longest
	l, err := p.layout(width, height)
	if err == nil {
		err = m.cfg.fits(size)
	}
	if err != nil {
		return nil, fmt.Errorf("idefics3: %w", err)
	}
	ids := m.expanded(l, size)
	s := checkpoint.Blank(len(ids), text, target)
	copy(s.IDs, ids)
	m.cfg.put(s, size, l)
	s.Pixels = make([]float32, l.views()*3*size*size)
	return s, m.cfg.holds(s)
}

// Decode turns ids into text, special tokens left out.
func (m *Model) Decode(ids []int32) string { return m.proc.Tok.Decode(ids, true) }

// Piece is one token as the vocabulary writes it.
func (m *Model) Piece(id int32) string { return m.proc.Tok.TokenString(id) }
