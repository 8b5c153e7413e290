package checkpoint

import (
	"fmt"
	"slices"
	"strings"

	"lightbox/stdlib/models/model"
)

// User renders one message of the user through the chat template, up to where the answer begins. image puts an image
// before the words.
func (f *Files) User(words string, image bool) (string, error) {
	if f.Template == nil {
		return "", fmt.Errorf("%s has no chat template: neither chat_template.jinja, chat_template.json nor one in tokenizer_config.json", f.Dir)
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
	for role, token := range f.Tok.SpecialTokens() {
		vars[role] = token
	}
	out, err := f.Template.Render(vars)
	if err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	return out, nil
}

// Reserved reports the first of the marks (image markers and the like) that stands in the prompt or the answer, where it
// would be taken for what the model's own template writes.
func Reserved(in model.Input, marks ...string) error {
	for _, f := range [][2]string{{"prompt", in.Prompt}, {"caption", in.Target}} {
		for _, m := range marks {
			if m != "" && strings.Contains(f[1], m) {
				return fmt.Errorf("the %s contains the image marker %s: %q", f[0], m, f[1])
			}
		}
	}
	return nil
}

// Expand puts what an image takes in the place of its one marker.
func Expand(prompt, marker, placeholders string) (string, error) {
	if n := strings.Count(prompt, marker); n != 1 {
		return "", fmt.Errorf("the chat template made %d image markers %s of one image: %q", n, marker, prompt)
	}
	return strings.Replace(prompt, marker, placeholders, 1), nil
}

// An Answer says how a family writes an answer behind a prompt.
type Answer struct {
	Separator string // between prompt and answer, unless the prompt ends in white space
	Special   bool   // the tokenizer adds its own special tokens (BOS)
	End       int32  // appended unless the answer ends with it; -1: nothing
}

// Tokenize fills IDs and Labels from the expanded prompt and the answer, and appends the answer to Text. The answer is
// tokenised together with the prompt, and the labels begin at the first token that reaches beyond the prompt: the
// prompt's own tokens must not change by what follows them.
func (f *Files) Tokenize(s *model.Sample, prompt, target string, a Answer) {
	if target == "" {
		s.IDs = f.Tok.Encode(prompt, a.Special)
		s.Labels = slices.Repeat([]int32{model.Ignore}, len(s.IDs))
		return
	}
	answer := target
	if !strings.HasSuffix(prompt, " ") && !strings.HasSuffix(prompt, "\n") {
		answer = a.Separator + target
	}
	s.Text += answer
	e := f.Tok.EncodeFull(prompt+answer, a.Special)
	first := len(e.IDs) // first token of the answer
	for i := len(e.IDs) - 1; i >= 0 && (e.Special[i] || e.Offsets[i][1] > len(prompt)); i-- {
		first = i
	}
	s.IDs = e.IDs
	if a.End >= 0 && (len(s.IDs) == 0 || s.IDs[len(s.IDs)-1] != a.End) {
		s.IDs = append(s.IDs, a.End)
	}
	s.Labels = slices.Clone(s.IDs)
	for i := range first {
		s.Labels[i] = model.Ignore
	}
}

// AddsBOS tells whether the tokenizer is to add its special tokens, as transformers does: unless the template wrote BOS.
func (f *Files) AddsBOS(text string) bool {
	bos := f.Tok.SpecialTokens()["bos_token"]
	return bos == "" || !strings.HasPrefix(text, bos)
}

// Fits reports a sample that is longer than the model holds; key is the configuration's name of the limit.
func Fits(s *model.Sample, most int, key string) error {
	if got := len(s.IDs); most > 0 && got > most {
		return fmt.Errorf("the prompt and caption take %d tokens; the model holds %d (%s)", got, most, key)
	}
	return nil
}

// Blank is a sample of images' placeholders and text tokens, the last target of them to be learnt: what model.Blank
// needs of the text.
func Blank(images, text, target int) *model.Sample {
	s := &model.Sample{IDs: make([]int32, images+text), Labels: slices.Repeat([]int32{model.Ignore}, images+text)}
	for i := max(0, len(s.IDs)-target); i < len(s.IDs); i++ {
		s.Labels[i] = 0
	}
	return s
}
