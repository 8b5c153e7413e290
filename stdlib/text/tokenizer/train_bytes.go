package tokenizer

import (
	"slices"
	"strings"
)

// countByteWords counts the pieces of a text that byte-level merges may not leave: GPT-2's words, as characters that stand
// for bytes.
func countByteWords(text string, counts map[string]int) {
	if text == "" {
		return
	}
	for _, w := range (byteLevel{m: words{}}).cut(whole(strings.ToValidUTF8(text, "\uFFFD"), false), nil) {
		counts[w.text]++
	}
}

// byteAlphabet makes a token of each byte, in the order of the characters that stand for them, as the Rust library does.
func (t *trainer) byteAlphabet() {
	var chars []string
	for b := range 256 {
		chars = append(chars, bytesToChars(string([]byte{byte(b)})))
	}
	slices.Sort(chars)
	for _, c := range chars {
		t.token(c)
	}
}

// byteLevelFiles writes what was learnt, in the way of GPT-2's and Qwen's tokenizer.json.
func (t *trainer) byteLevelFiles() (*Files, error) {
	level := object{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}}
	added := []object{}
	var decoder object
	for _, a := range t.added() {
		added = append(added, append(object{{"id", a.ID}}, addedFields(a)...))
		decoder = append(decoder, field{key: itoa(a.ID), value: addedFields(a)})
	}
	var vocab object
	for id, s := range t.vocab {
		vocab = append(vocab, field{s, id})
	}
	merges := t.merges
	if merges == nil {
		merges = [][2]string{}
	}
	var f Files
	var err error
	f.Tokenizer, err = indented(object{
		{"version", "1.0"}, {"truncation", nil}, {"padding", nil}, {"added_tokens", added}, {"normalizer", nil},
		{"pre_tokenizer", level}, {"post_processor", nil}, {"decoder", level},
		{"model", object{
			{"type", "BPE"}, {"dropout", nil}, {"unk_token", nil}, {"continuing_subword_prefix", ""}, {"end_of_word_suffix", ""},
			{"fuse_unk", false}, {"byte_fallback", false}, {"ignore_merges", false}, {"vocab", vocab}, {"merges", merges},
		}},
	})
	if err != nil {
		return nil, err
	}
	roles, err := t.options.roles()
	if err != nil {
		return nil, err
	}
	config := append(object{
		{"add_prefix_space", false}, {"added_tokens_decoder", decoder}, {"clean_up_tokenization_spaces", false},
		{"model_max_length", t.options.ModelMaxLength}, {"tokenizer_class", "PreTrainedTokenizerFast"},
	}, roles...)
	if f.Config, err = indented(config); err != nil {
		return nil, err
	}
	f.Special, err = indented(roles)
	return &f, err
}
