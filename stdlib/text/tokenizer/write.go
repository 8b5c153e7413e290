package tokenizer

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
)

// Files is a tokenizer in Hugging Face's layout.
type Files struct {
	Tokenizer []byte // tokenizer.json
	Config    []byte // tokenizer_config.json
	Special   []byte // special_tokens_map.json
}

// Write puts the files into a directory.
func (f *Files) Write(dir string) error {
	for _, x := range []struct {
		name string
		data []byte
	}{{"tokenizer.json", f.Tokenizer}, {"tokenizer_config.json", f.Config}, {"special_tokens_map.json", f.Special}} {
		if err := os.WriteFile(filepath.Join(dir, x.name), x.data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Load is the tokenizer of the files.
func (f *Files) Load() (*Tokenizer, error) {
	t, err := Parse("tokenizer.json", f.Tokenizer)
	if err != nil {
		return nil, err
	}
	for _, data := range [][]byte{f.Special, f.Config} {
		if err := t.parseRoles("tokenizer_config.json", data); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// object is a JSON object that keeps its order.
type object []field

type field struct {
	key   string
	value any
}

// MarshalJSON writes the fields in order, without escaping for HTML.
func (o object) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			out.WriteByte(',')
		}
		for k, v := range []any{f.key, f.value} {
			if k > 0 {
				out.WriteByte(':')
			}
			b, err := marshal(v)
			if err != nil {
				return nil, err
			}
			out.Write(b)
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// indented is v as a file.
func indented(v any) ([]byte, error) {
	b, err := marshal(v)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// files writes what was learnt, in the way of LLaVA's own tokenizer.json.
func (t *trainer) files() (*Files, error) {
	var f Files
	var err error
	if f.Tokenizer, err = indented(t.tokenizerJSON()); err != nil {
		return nil, err
	}
	roles := object{{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}}
	config := object{
		{"add_bos_token", true},
		{"add_eos_token", false},
		{"added_tokens_decoder", t.addedDecoder()},
		{"clean_up_tokenization_spaces", false},
		{"legacy", false},
		{"model_max_length", t.options.ModelMaxLength},
		{"padding_side", "left"},
		{"tokenizer_class", "PreTrainedTokenizerFast"},
	}
	for _, s := range t.options.Added {
		switch s {
		case "<pad>":
			roles = append(roles, field{"pad_token", s})
		case "<image>":
			config = append(config, field{"image_token", s})
		}
	}
	more, err := t.options.roles("<unk>", "<s>", "</s>")
	if err != nil {
		return nil, err
	}
	roles = append(roles, more...)
	config = append(config, roles...)
	if f.Config, err = indented(config); err != nil {
		return nil, err
	}
	f.Special, err = indented(roles)
	return &f, err
}

// addedDecoder lists the added tokens by id, as tokenizer_config.json does.
func (t *trainer) addedDecoder() object {
	var out object
	for _, a := range t.added() {
		out = append(out, field{key: itoa(a.ID), value: addedFields(a)})
	}
	return out
}

func itoa(id int32) string { b, _ := json.Marshal(id); return string(b) }

func addedFields(a Added) object {
	return object{{"content", a.Content}, {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}, {"special", true}}
}

func (t *trainer) added() []Added {
	var out []Added
	if !t.options.ByteLevel {
		for i, s := range basic {
			out = append(out, Added{ID: int32(i), Content: s, Special: true})
		}
	}
	for i, s := range t.options.Added {
		out = append(out, Added{ID: int32(len(t.vocab) + i), Content: s, Special: true})
	}
	return out
}

func (t *trainer) tokenizerJSON() object {
	added := []object{}
	for _, a := range t.added() {
		added = append(added, append(object{{"id", a.ID}}, addedFields(a)...))
	}
	var vocab object
	for id, s := range t.vocab {
		vocab = append(vocab, field{s, id})
	}
	merges := t.merges
	if merges == nil {
		merges = [][2]string{}
	}
	text := func(id string, typ int) object { return object{{"Sequence", object{{"id", id}, {"type_id", typ}}}} }
	bos := func(typ int) object { return object{{"SpecialToken", object{{"id", "<s>"}, {"type_id", typ}}}} }
	replace := func(from, to string) object {
		return object{{"type", "Replace"}, {"pattern", object{{"String", from}}}, {"content", to}}
	}
	return object{
		{"version", "1.0"},
		{"truncation", nil},
		{"padding", nil},
		{"added_tokens", added},
		{"normalizer", object{{"type", "Sequence"}, {"normalizers", []object{{{"type", "Prepend"}, {"prepend", mark}}, replace(" ", mark)}}}},
		{"pre_tokenizer", nil},
		{"post_processor", object{
			{"type", "TemplateProcessing"},
			{"single", []object{bos(0), text("A", 0)}},
			{"pair", []object{bos(0), text("A", 0), bos(1), text("B", 1)}},
			{"special_tokens", object{{"<s>", object{{"id", "<s>"}, {"ids", []int{1}}, {"tokens", []string{"<s>"}}}}}},
		}},
		{"decoder", object{{"type", "Sequence"}, {"decoders", []object{
			replace(mark, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}},
			{{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
		{"model", object{
			{"type", "BPE"}, {"dropout", nil}, {"unk_token", "<unk>"}, {"continuing_subword_prefix", nil}, {"end_of_word_suffix", nil},
			{"fuse_unk", true}, {"byte_fallback", true}, {"ignore_merges", false}, {"vocab", vocab}, {"merges", merges},
		}},
	}
}
