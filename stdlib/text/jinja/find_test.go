package jinja

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	for _, c := range []struct {
		files     map[string]string
		want, err string
	}{
		{map[string]string{"chat_template.jinja": "jinja\n", "tokenizer_config.json": `{"chat_template": "tokenizer"}`}, "jinja", ""},
		{map[string]string{"chat_template.jinja": "jinja", "chat_template.json": `{"chat_template": "json"}`}, "json", ""},
		{map[string]string{"processor_config.json": `{"chat_template": "processor"}`, "chat_template.jinja": "jinja"}, "processor", ""},
		{map[string]string{"processor_config.json": `{"patch_size": 14}`, "tokenizer_config.json": `{"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]}`}, "d", ""},
		{map[string]string{"tokenizer_config.json": `{"chat_template": {"default": "d"}}`}, "d", ""},
		{map[string]string{"tokenizer_config.json": `{"chat_template": {"rag": "d"}}`}, "", `none of the templates is called "default"`},
		{map[string]string{"tokenizer_config.json": `{"chat_template": 5}`}, "", "want a string"},
		{map[string]string{"tokenizer_config.json": `{`}, "", "tokenizer_config.json: unexpected end"},
		{map[string]string{"chat_template.jinja": "{% if %}"}, "", "chat_template.jinja: chat template: 1:7: expected an expression"},
		{map[string]string{"tokenizer_config.json": `{}`}, "", "no chat template"},
	} {
		dir := t.TempDir()
		for name, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		tmpl, _, err := Find(dir)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v: got %v, want %q", c.files, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", c.files, err)
			continue
		}
		if got, err := tmpl.Render(nil); err != nil || got != c.want {
			t.Errorf("%v: got %q, %v; want %q", c.files, got, err, c.want)
		}
	}
	if _, _, err := Find(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}
