package jinja

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Find reads the chat template of a checkpoint directory, from where transformers takes it: an entry
// chat_template of processor_config.json, else chat_template.json, chat_template.jinja or the entry of
// tokenizer_config.json. file is where it was found; of several named templates it is the one
// called default. A checkpoint without a chat template gives an error that wraps fs.ErrNotExist.
func Find(dir string) (t *Template, file string, err error) {
	for _, name := range []string{"processor_config.json", "chat_template.json", "chat_template.jinja", "tokenizer_config.json"} {
		file = filepath.Join(dir, name)
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, file, err
		}
		src := string(data)
		if filepath.Ext(name) == ".json" {
			if src, err = fromJSON(data); err != nil {
				return nil, file, fmt.Errorf("%s: %w", file, err)
			}
			if src == "" {
				continue
			}
		}
		if t, err = Parse(src); err != nil {
			return nil, file, fmt.Errorf("%s: chat template: %w", file, err)
		}
		return t, file, nil
	}
	return nil, "", fmt.Errorf("%s: no chat template: %w", dir, fs.ErrNotExist)
}

// fromJSON is the entry chat_template of a JSON file, "" if there is none: a string, a list of
// {name, template}, or an object from names to templates.
func fromJSON(data []byte) (string, error) {
	var file struct {
		Template json.RawMessage `json:"chat_template"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return "", err
	}
	if len(file.Template) == 0 || string(file.Template) == "null" {
		return "", nil
	}
	var one string
	if json.Unmarshal(file.Template, &one) == nil {
		return one, nil
	}
	var named map[string]string
	var list []struct{ Name, Template string }
	if json.Unmarshal(file.Template, &named) != nil {
		if err := json.Unmarshal(file.Template, &list); err != nil {
			return "", errors.New("chat_template: want a string, a list of {name, template} or an object of strings")
		}
		named = map[string]string{}
		for _, t := range list {
			named[t.Name] = t.Template
		}
	}
	if t, ok := named["default"]; ok {
		return t, nil
	}
	return "", errors.New(`chat_template: none of the templates is called "default"`)
}
