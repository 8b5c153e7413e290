package llavanext

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
)

// TestPrompt: a checkpoint's template decides; without one it is the decoder's.
func TestPrompt(t *testing.T) {
	const system = "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the human's questions. "
	for _, c := range []struct {
		from, remove, with, without string
	}{
		{"mistral", "", "[INST] <image>\nWhich side? [/INST] Left.", "[INST] Which side? [/INST] Left."},
		{"mistral", "chat_template.json", "[INST] <image>\nWhich side? [/INST] Left.", "[INST] Which side? [/INST] Left."},
		{"vicuna", "", system + "USER: <image>\nWhich side? ASSISTANT: Left.", system + "USER: Which side? ASSISTANT: Left."},
		{"new", "", "USER: <image>\nWhich side? ASSISTANT: Left.", "USER: Which side? ASSISTANT: Left."},
	} {
		dir := family.Checkpoint(t, c.from)
		if c.remove != "" {
			remove(t, filepath.Join(dir, c.remove))
		}
		m, err := kind.Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{c.with, c.without} {
			in := model.Input{Prompt: "Which side?", Target: "Left."}
			if strings.Contains(want, "<image>") {
				in.Image = modeltest.Picture([]int{1, 40, 28})
			}
			s, err := m.Encode(in)
			if err != nil {
				t.Fatal(err)
			}
			if s.Text != want {
				t.Errorf("%s: %q\nwant %q", c.from, s.Text, want)
			}
			if end := m.Info().EOS; !slices.Equal(end, []int32{2}) || s.IDs[len(s.IDs)-1] != 2 || s.Labels[len(s.IDs)-1] != 2 {
				t.Errorf("%s: ends with %v, learns %v", c.from, end, s.Labels)
			}
		}
	}
}

// TestConversation holds the ids of prompt and answer against the template's own rendering of the two turns: Tiny's writes
// the end token, the published ones misspell or omit it.
func TestConversation(t *testing.T) {
	for _, c := range []struct{ from, behind string }{{"mistral", `<\s> `}, {"new", " "}, {"tiny", "</s> "}} {
		dir := t.TempDir()
		if c.from == "tiny" {
			if err := Tiny(dir); err != nil {
				t.Fatal(err)
			}
		} else {
			dir = family.Checkpoint(t, c.from)
		}
		f, err := checkpoint.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		m, err := kind.Init(t.Context(), dir, 1)
		if err != nil {
			t.Fatal(err)
		}
		s, err := m.Encode(model.Input{Prompt: "Which side?", Target: "Left upper lobe."})
		if err != nil {
			t.Fatal(err)
		}
		turn := func(role, text string) any {
			return map[string]any{"role": role, "content": []any{map[string]any{"type": "text", "text": text}}}
		}
		full, err := f.Template.Render(map[string]any{"messages": []any{turn("user", "Which side?"), turn("assistant", "Left upper lobe.")}})
		if err != nil {
			t.Fatal(err)
		}
		if full != s.Text+c.behind {
			t.Errorf("%s: the template writes %q; encoded %q", c.from, full, s.Text)
		}
		if got := f.Tok.Encode(strings.TrimSuffix(full, c.behind)+"</s>", true); !slices.Equal(got, s.IDs) {
			t.Errorf("%s: ids %v; of the template's text %v", c.from, s.IDs, got)
		}
	}
}
