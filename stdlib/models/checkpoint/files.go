package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lightbox/stdlib/text/jinja"
	"lightbox/stdlib/text/tokenizer"
)

// Files is what stands beside the weights of a checkpoint directory.
type Files struct {
	Dir      string
	Config   []byte               // config.json
	Tok      *tokenizer.Tokenizer // tokenizer.json
	Template *jinja.Template      // the chat template, nil where there is none
	// End ends an answer to learn: the tokenizer's eos_token, else the first of EOS; -1 without any.
	End int32
	// EOS end an answer when generating: generation_config.json's eos_token_id, else config.json's, else the tokenizer's.
	EOS []int32
}

// ReadConfig reads dir's config.json.
func ReadConfig(dir string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, "config.json")) }

// Open reads the files in dir; only config.json and the tokenizer must be there.
func Open(dir string) (*Files, error) {
	f := &Files{Dir: dir, End: -1}
	var err error
	if f.Config, err = ReadConfig(dir); err != nil {
		return nil, err
	}
	if f.Tok, err = tokenizer.Load(dir); err != nil {
		return nil, err
	}
	f.Template, _, err = jinja.Find(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // a checkpoint may lack one
	}
	return f, errors.Join(err, f.readEnds())
}

// readEnds collects the tokens that end an answer.
func (f *Files) readEnds() error {
	path := filepath.Join(f.Dir, "generation_config.json")
	raw, err := ReadOptional(path)
	if err != nil {
		return err
	}
	var generation struct {
		EOS json.RawMessage `json:"eos_token_id"`
	}
	if raw != nil {
		if err := json.Unmarshal(raw, &generation); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	var config struct {
		EOS  json.RawMessage `json:"eos_token_id"`
		Text struct {
			EOS json.RawMessage `json:"eos_token_id"`
		} `json:"text_config"`
	}
	if err := json.Unmarshal(f.Config, &config); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(f.Dir, "config.json"), err)
	}
	for _, ids := range []json.RawMessage{generation.EOS, config.EOS, config.Text.EOS} {
		if f.EOS = TokenIDs(ids); len(f.EOS) > 0 {
			break
		}
	}
	if id, ok := f.Tok.Special("eos_token"); ok {
		f.End = id
		if len(f.EOS) == 0 {
			f.EOS = []int32{id}
		}
	} else if len(f.EOS) > 0 {
		f.End = f.EOS[0]
	}
	return nil
}

// Images are the settings of the image processor as JSON and the file that holds them: nested in processor_config.json
// since transformers 5, before that in preprocessor_config.json.
func (f *Files) Images() (raw []byte, path string, err error) {
	nested, plain := filepath.Join(f.Dir, "processor_config.json"), filepath.Join(f.Dir, "preprocessor_config.json")
	if raw, err = ReadOptional(nested); err != nil {
		return nil, "", err
	}
	if raw != nil {
		var j struct {
			Image json.RawMessage `json:"image_processor"`
		}
		if err := json.Unmarshal(raw, &j); err != nil {
			return nil, "", fmt.Errorf("%s: %w", nested, err)
		}
		if len(j.Image) > 0 {
			// Everything of it: some readers look at its "image_processor" themselves.
			return raw, nested, nil
		}
	}
	if raw, err = ReadOptional(plain); err != nil {
		return nil, "", err
	}
	if raw == nil {
		return nil, "", fmt.Errorf("%s: no image settings: neither preprocessor_config.json nor an image_processor in processor_config.json", f.Dir)
	}
	return raw, plain, nil
}

// ImageSettings decodes the image processor's settings into v, over the defaults that v holds, and tells their file.
func (f *Files) ImageSettings(v any) (path string, err error) {
	raw, path, err := f.Images()
	if err != nil {
		return path, err
	}
	var nested struct {
		Image json.RawMessage `json:"image_processor"`
	}
	if err := json.Unmarshal(raw, &nested); err != nil {
		return path, fmt.Errorf("%s: %w", path, err)
	}
	if len(nested.Image) > 0 {
		raw = nested.Image
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return path, fmt.Errorf("%s: %w", path, err)
	}
	return path, nil
}

// Vocabulary reports a tokenizer that has more tokens than the embedding has rows.
func (f *Files) Vocabulary(size int) error {
	if int(f.Tok.MaxID()) >= size {
		return fmt.Errorf("%s: token id %d; config.json's vocab_size is %d: tokenizer of another model?", f.Tok.Path(), f.Tok.MaxID(), size)
	}
	return nil
}

// ReadOptional is the file's content, nil where there is none.
func ReadOptional(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return raw, err
}

// TokenIDs reads a number or a list of numbers; nil of null, of nothing and of anything else.
func TokenIDs(raw json.RawMessage) []int32 {
	var one int32
	var many []int32
	if json.Unmarshal(raw, &one) == nil && string(raw) != "null" {
		return []int32{one}
	}
	if json.Unmarshal(raw, &many) == nil {
		return many
	}
	return nil
}

// Keep decodes a config.json so that it can be written back with its numbers as they were.
func Keep(config []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(config))
	d.UseNumber()
	var out map[string]any
	return out, d.Decode(&out)
}

// DType is how a kept config.json says that the weights are stored: "float32", "bfloat16" or "float16".
func DType(config map[string]any) string {
	for _, key := range []string{"torch_dtype", "dtype"} {
		if s, ok := config[key].(string); ok && s != "" {
			return s
		}
	}
	return "float32"
}
