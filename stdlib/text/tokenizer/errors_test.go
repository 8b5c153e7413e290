package tokenizer

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLoadErrors wants each fault of a file said with the file, the key and, where one is near, the right name.
func TestLoadErrors(t *testing.T) {
	const model = `"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}`
	for _, c := range []struct{ src, want string }{
		{``, "x.json: empty file"},
		{`{`, "x.json: no JSON at byte 1: unexpected end of JSON input"},
		{`[]`, "x.json: want an object, got array"},
		{`{"version": "2.0"}`, `x.json: version: "2.0" is not supported, want "1.0"`},
		{`{"modle": {}}`, `x.json: model: missing; did you mean "modle"?`},
		{`{"model": {"type": "Unigram"}}`, "x.json: model.vocab: missing"},
		{`{"model": {"type": "Unigram", "vocab": [["a", 0], ["b"]]}}`, "x.json: model.vocab[1]: want [token, score], got [b <nil>]"},
		{`{"model": {"type": "Unigram", "vocab": [["a", 0]], "unk_id": null}}`, "x.json: model.unk_id: missing: without it a character that the vocabulary lacks cannot be encoded"},
		{`{"model": {"type": "Unigram", "vocab": [["a", 0]], "unk_id": 1}}`, "x.json: model.unk_id: 1 is not in the vocabulary of 1 tokens"},
		{`{"model": {"type": "WordPiece", "vocab": {"[UNC]": 0}}}`, `x.json: model.unk_token: "[UNK]" is not in the vocabulary; did you mean "[UNC]"?`},
		{`{"model": {"type": "WordPiece", "vocab": {"[UNK]": 0}, "max_input_chars_per_word": "x"}}`, "x.json: model.max_input_chars_per_word: want a number, got string"},
		{`{"model": {"type": "WordLevel", "vocab": {"[UNK]": 0}}}`, `x.json: model.unk_token: "<unk>" is not in the vocabulary`},
		{`{"model": {"type": "BPEE"}}`, `x.json: model.type: "BPEE" is not supported; did you mean "BPE"?`},
		{`{"model": {"type": "BPE", "merges": []}}`, "x.json: model.vocab: missing"},
		{`{"model": {"type": "BPE", "vocab": {"a": "0"}, "merges": []}}`, "x.json: model.vocab: want an object of numbers, got string"},
		{`{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}`, `x.json: model.vocab: token "a" has id -1, want 0 to 16777216`},
		{`{"model": {"type": "BPE", "vocab": {"a": 1, "b": 1}, "merges": []}}`, `x.json: model.vocab: tokens "a" and "b" have the same id 1`},
		{`{"model": {"type": "BPE", "vocab": {"a": 2000000000}, "merges": []}}`, `token "a" has id 2000000000`},
		{`{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["ab"]}}`, `x.json: model.merges[0]: want two tokens with one space between, got "ab"`},
		{`{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a"]]}}`, `x.json: model.merges[0]: want two strings, got 1`},
		{`{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [["a", "b"]]}}`, `x.json: model.merges[0]: "a" and "b": token "ab" is not in the vocabulary`},
		{`{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.1}}`, "x.json: model.dropout: 0.1: a tokenizer that cuts at random is not supported"},
		{`{"model": {"type": "BPE", "vocab": {"<unk>": 0}, "merges": [], "unk_token": "<ukn>"}}`, `x.json: model.unk_token: "<ukn>" is not in the vocabulary; did you mean "<unk>"?`},
		{`{"normalizer": {"type": "Prepnd"}, ` + model + `}`, `x.json: normalizer.type: "Prepnd" is not supported; did you mean "Prepend"?`},
		{`{"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Precompild"}]}, ` + model + `}`, `x.json: normalizer.normalizers[1].type: "Precompild" is not supported; did you mean "Precompiled"?`},
		{`{"normalizer": {"type": "Precompiled", "precompiled_charsmap": "_"}, ` + model + `}`, "x.json: normalizer.precompiled_charsmap: illegal base64 data at input byte 0"},
		{`{"normalizer": {"type": "Precompiled", "precompiled_charsmap": "CAAAAAAAAAA="}, ` + model + `}`, "x.json: normalizer.precompiled_charsmap: the map of characters claims a trie of 8 bytes; it has 4"},
		{`{"normalizer": {"type": "Replace", "patern": {"String": "x"}, "content": ""}, ` + model + `}`, `x.json: normalizer.pattern: missing; did you mean "patern"?`},
		{`{"normalizer": {"type": "Replace", "pattern": {"Regex": "("}, "content": ""}, ` + model + `}`, "x.json: normalizer.pattern.Regex: error parsing regexp: missing closing ) in `(`"},
		{`{"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[a[b]]"}, "behavior": "Isolated"}, ` + model + `}`, "nested character classes are not supported"},
		{`{"pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "Isolate"}, ` + model + `}`, `x.json: pre_tokenizer.behavior: "Isolate" is not one of`},
		{`{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [null]}, ` + model + `}`, "x.json: pre_tokenizer.pretokenizers[0]: want an object, got null"},
		{`{"pre_tokenizer": {"type": "Metaspace", "replacement": "__"}, ` + model + `}`, `x.json: pre_tokenizer.replacement: want one character, got "__"`},
		{`{"pre_tokenizer": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "frist"}, ` + model + `}`, `did you mean "first"?`},
		{`{"decoder": {"type": "CTC"}, ` + model + `}`, `x.json: decoder.type: "CTC" is not supported`},
		{`{"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}], "special_tokens": {}}, ` + model + `}`,
			`x.json: post_processor.single[0].SpecialToken.id: "<s>" is not in special_tokens`},
		{`{"added_tokens": [{"id": 3}], ` + model + `}`, "x.json: added_tokens[0].content: missing"},
	} {
		_, err := Parse("x.json", []byte(c.src))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80s\n got %v\nwant %s", c.src, err, c.want)
		}
	}
}

func TestLoadDirectory(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "nowhere")); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "no tokenizer; any of these would do: tokenizer.json, tokenizer.model, vocab.json with merges.txt, vocab.txt") {
		t.Errorf("got %v", err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("tokenizer.model", "")
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "tokenizer.model: no SentencePiece model: it has no pieces") {
		t.Errorf("got %v", err)
	}
	write("tokenizer.json", `{"model": {"type": "BPE", "vocab": {"<s>": 0, "b": 1}, "merges": []}}`)
	write("special_tokens_map.json", `{"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "b"}`)
	write("tokenizer_config.json", `{"bos_token": "<s>", "eos_token": null, "add_bos_token": true, "extra_special_tokens": {"image_token": "b"}}`)
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for role, want := range map[string]int32{"bos_token": 0, "eos_token": 1, "image_token": 1} {
		if id, ok := tok.Special(role); !ok || id != want {
			t.Errorf("%s: %d %v, want %d", role, id, ok, want)
		}
	}
	if _, ok := tok.Special("pad_token"); ok {
		t.Error("there is no pad token")
	}
	write("tokenizer_config.json", `{"bos_token": `)
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "tokenizer_config.json: no JSON at byte") {
		t.Errorf("got %v", err)
	}
}

// TestDamaged loads tokenizers with bytes changed or cut off: an error or a tokenizer, never a panic.
func TestDamaged(t *testing.T) {
	var vs map[string]variant
	readJSON(t, "testdata/variants.json", &vs)
	f := loadFragments(t)
	r := splitmix(1)
	loaded := 0
	for name, v := range vs {
		src := shrunk(t, v.source(t))
		for range 40 {
			bad := bytes.Clone(src)
			for range 1 + r.below(3) {
				bad[r.below(uint64(len(bad)))] = `"{}[],:0123abcdeNTn\`[r.below(20)]
			}
			if r.below(10) == 0 {
				bad = bad[:r.below(uint64(len(bad)))]
			}
			tok, err := Parse(name, bad)
			if err != nil {
				continue
			}
			loaded++
			e := tok.EncodeFull(f.text(int(r.below(1000))), true)
			tok.Decode(e.IDs, false)
		}
	}
	if loaded < 20 {
		t.Errorf("only %d of the damaged files load: the test has no teeth", loaded)
	}
}

// shrunk takes most merges out of a tokenizer, so that damage hits the rest more often.
func shrunk(t *testing.T, src []byte) []byte {
	t.Helper()
	var file map[string]any
	if err := json.Unmarshal(src, &file); err != nil {
		t.Fatal(err)
	}
	model, _ := file["model"].(map[string]any)
	if merges, ok := model["merges"].([]any); ok {
		model["merges"] = merges[:20]
	}
	out, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestInvalidUTF8 reads broken bytes as U+FFFD.
func TestInvalidUTF8(t *testing.T) {
	tok := loadVariants(t)["qwen"]
	if got := tok.Decode(tok.Encode("a\xff\xfeb", false), false); got != "a\uFFFDb" {
		t.Errorf("got %q", got)
	}
	if got := tok.Decode([]int32{-1, 1 << 30, 5}, false); got != tok.Decode([]int32{5}, false) {
		t.Errorf("ids without a token: got %q", got)
	}
}

// TestWordsScanner holds the hand-written scanner against the regular expressions that it stands for.
func TestWordsScanner(t *testing.T) {
	f := loadFragments(t)
	for _, pattern := range []string{patternGPT2, patternQwen2, patternLlama3} {
		fast, err := compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		slow, err := compile("(?:" + pattern + ")")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 500 {
			s := strings.ReplaceAll(f.text(i), "ſ", "s") // regexp2 does not fold the long s
			got, want := fast.find(s, nil), slow.find(s, nil)
			if len(got) != len(want) {
				t.Fatalf("%q: %d matches, want %d", s, len(got), len(want))
			}
			for k := range got {
				if got[k] != want[k] {
					t.Fatalf("%q: match %d is %v, want %v", s, k, got[k], want[k])
				}
			}
		}
	}
}
