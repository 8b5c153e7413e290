package llava

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/stdlib/models/model"
	"lightbox/stdlib/text/jinja"
	"lightbox/stdlib/text/tokenizer"
	"lightbox/stdlib/vision"
)

// processor turns an input into ids and pixels as transformers' LlavaProcessor
// does. The number of placeholder tokens follows from the model, not from the
// processor's patch_size and num_additional_image_tokens: files that lack or
// contradict those cannot shift the prompt by one.
type processor struct {
	cfg      *Config
	image    vision.CLIPProcessor
	tok      *tokenizer.Tokenizer
	template *jinja.Template // nil: the prompt of LLaVA-1.5
	marker   string          // the image token as text, "<image>"
	end      int32           // ends an answer to learn; -1 without any
	eos      []int32         // end an answer when generating
}

func newProcessor(c *Config, dir string) (*processor, error) {
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return nil, err
	}
	p := &processor{cfg: c, tok: tok, marker: tok.TokenString(int32(c.ImageTokenIndex)), end: -1}
	if p.marker == "" {
		return nil, fmt.Errorf("%s: no token has the id %d that config.json gives as image_token_index", tok.Path(), c.ImageTokenIndex)
	}
	if int(tok.MaxID()) >= c.Text.VocabSize {
		return nil, fmt.Errorf("%s: token id %d; config.json's vocab_size is %d: tokenizer of another model?", tok.Path(), tok.MaxID(), c.Text.VocabSize)
	}
	err = errors.Join(p.readImage(dir), p.readTemplate(dir), p.readGeneration(dir))
	if err != nil {
		return nil, err
	}
	return p, nil
}

// readImage reads the image settings, nested in processor_config.json since
// transformers 5, before that in preprocessor_config.json.
func (p *processor) readImage(dir string) error {
	nested, plain := filepath.Join(dir, "processor_config.json"), filepath.Join(dir, "preprocessor_config.json")
	path := plain
	raw, err := readOptional(nested)
	if err != nil {
		return err
	}
	if raw != nil {
		var j struct {
			Image json.RawMessage `json:"image_processor"`
		}
		if err := json.Unmarshal(raw, &j); err != nil {
			return fmt.Errorf("%s: %w", nested, err)
		}
		if len(j.Image) > 0 {
			path = nested
		}
	}
	if path == plain {
		if raw, err = readOptional(plain); err != nil {
			return err
		}
		if raw == nil {
			return fmt.Errorf("%s: no image settings: neither preprocessor_config.json nor an image_processor in processor_config.json", dir)
		}
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

// readTemplate finds the chat template; a checkpoint may lack one.
func (p *processor) readTemplate(dir string) (err error) {
	p.template, _, err = jinja.Find(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// readGeneration collects the tokens that end an answer.
func (p *processor) readGeneration(dir string) error {
	path := filepath.Join(dir, "generation_config.json")
	raw, err := readOptional(path)
	if err != nil {
		return err
	}
	var j struct {
		EOS json.RawMessage `json:"eos_token_id"`
	}
	if raw != nil {
		if err := json.Unmarshal(raw, &j); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	p.eos = tokenIDs(j.EOS)
	if len(p.eos) == 0 {
		p.eos = p.cfg.EOS
	}
	if id, ok := p.tok.Special("eos_token"); ok {
		p.end = id
		if len(p.eos) == 0 {
			p.eos = []int32{id}
		}
	} else if len(p.eos) > 0 {
		p.end = p.eos[0]
	}
	return nil
}

// readOptional is the file's content, nil where there is none.
func readOptional(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return raw, err
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
	if p.template == nil {
		if image {
			words = p.marker + "\n" + words
		}
		return "USER: " + words + " ASSISTANT:", nil
	}
	var content []any
	if image {
		content = append(content, map[string]any{"type": "image"})
	}
	content = append(content, map[string]any{"type": "text", "text": words})
	vars := map[string]any{
		"messages":              []any{map[string]any{"role": "user", "content": content}},
		"add_generation_prompt": true,
	}
	for role, token := range p.tok.SpecialTokens() {
		vars[role] = token
	}
	out, err := p.template.Render(vars)
	if err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	return out, nil
}

// encode makes a sample.
func (p *processor) encode(in model.Input) (*model.Sample, error) {
	for _, f := range [][2]string{{"prompt", in.Prompt}, {"caption", in.Target}} {
		if strings.Contains(f[1], p.marker) {
			return nil, fmt.Errorf("the %s contains the image marker %s: %q", f[0], p.marker, f[1])
		}
	}
	prompt, err := p.prompt(in.Prompt, in.Image != nil)
	if err != nil {
		return nil, err
	}
	s := &model.Sample{Text: prompt}
	expanded := prompt
	if in.Image != nil {
		if n := strings.Count(prompt, p.marker); n != 1 {
			return nil, fmt.Errorf("the chat template made %d image markers %s of one image: %q", n, p.marker, prompt)
		}
		expanded = strings.Replace(prompt, p.marker, strings.Repeat(p.marker, p.cfg.imageTokens()), 1)
		pixels, err := p.image.Process(in.Image)
		if err != nil {
			return nil, err
		}
		s.Images, s.Pixels, s.Size = 1, pixels.Data, [2]int{pixels.H, pixels.W}
	}
	// As transformers: the tokenizer adds BOS unless the template wrote it.
	bos := p.tok.SpecialTokens()["bos_token"]
	special := bos == "" || !strings.HasPrefix(expanded, bos)
	if err := p.tokenize(s, expanded, in.Target, special); err != nil {
		return nil, err
	}
	if got, most := len(s.IDs), p.cfg.Text.MaxPositionEmbeddings; got > most {
		return nil, fmt.Errorf("the prompt and caption take %d tokens; the model holds %d (max_position_embeddings)", got, most)
	}
	return s, nil
}

// tokenize fills ids and labels. An answer follows the prompt after one space,
// as the chat template writes it, and ends with the end-of-sequence token. The
// prompt's own tokens must not change by what follows them.
func (p *processor) tokenize(s *model.Sample, prompt, target string, special bool) error {
	if target == "" {
		s.IDs = p.tok.Encode(prompt, special)
		s.Labels = slices.Repeat([]int32{model.Ignore}, len(s.IDs))
		return nil
	}
	answer := target
	if !strings.HasSuffix(prompt, " ") && !strings.HasSuffix(prompt, "\n") {
		answer = " " + target
	}
	s.Text += answer
	e := p.tok.EncodeFull(prompt+answer, special)
	first := len(e.IDs) // first token of the answer
	for i := len(e.IDs) - 1; i >= 0 && (e.Special[i] || e.Offsets[i][1] > len(prompt)); i-- {
		first = i
	}
	s.IDs = e.IDs
	if p.end >= 0 && s.IDs[len(s.IDs)-1] != p.end {
		s.IDs = append(s.IDs, p.end)
	}
	s.Labels = slices.Clone(s.IDs)
	for i := range first {
		s.Labels[i] = model.Ignore
	}
	return nil
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

// Decode turns ids into text, special tokens left out.
func (m *Model) Decode(ids []int32) string { return m.proc.tok.Decode(ids, true) }

// Piece is one token as the vocabulary writes it.
func (m *Model) Piece(id int32) string { return m.proc.tok.TokenString(id) }
