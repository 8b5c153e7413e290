package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeParts writes a directory as make_directories.py does.
func writeParts(t *testing.T, dir, files string, config, added json.RawMessage) {
	t.Helper()
	put := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("tokenizer_config.json", config)
	if len(added) > 0 && string(added) != "null" {
		put("added_tokens.json", added)
	}
	if files == "sp_llama" {
		data, err := os.ReadFile("testdata/sp_llama.model")
		if err != nil {
			t.Fatal(err)
		}
		put("tokenizer.model", data)
		return
	}
	var base struct {
		Model struct {
			Vocab  map[string]int32
			Merges []string
		}
	}
	if strings.HasPrefix(files, "bytelevel") {
		readJSON(t, "testdata/bytelevel.json", &base)
		if files == "bytelevel+" {
			for _, s := range []string{"[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", "<s>", "<pad>", "</s>", "<unk>", "<mask>"} {
				base.Model.Vocab[s] = int32(len(base.Model.Vocab))
			}
		}
		raw, _ := json.Marshal(base.Model.Vocab)
		put("vocab.json", raw)
		put("merges.txt", []byte("#version: 0.2\n"+strings.Join(base.Model.Merges, "\n")+"\n"))
		return
	}
	readJSON(t, "testdata/wordpiece.json", &base)
	lines := make([]string, len(base.Model.Vocab))
	for s, id := range base.Model.Vocab {
		lines[id] = s
	}
	put("vocab.txt", []byte(strings.Join(lines, "\n")+"\n"))
}

// TestDirectories holds directories without a tokenizer.json against transformers 5.23.
func TestDirectories(t *testing.T) {
	var golden struct {
		Directories map[string]struct {
			Files         string
			Config, Added json.RawMessage
			Hashes        []string
			First         []int32
		}
	}
	readJSON(t, "testdata/directories.json", &golden)
	f := loadFragments(t)
	if len(golden.Directories) < 8 {
		t.Fatal("too few directories")
	}
	for name, g := range golden.Directories {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeParts(t, dir, g.Files, g.Config, g.Added)
			tok, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			if ids := tok.Encode(f.text(7), true); !slices.Equal(ids, g.First) {
				t.Fatalf("%q\n got %v\nwant %v", f.text(7), spell(tok, ids), spell(tok, g.First))
			}
			for i, want := range g.Hashes {
				h := sha256.New()
				for k := 100 * i; k < 100*i+100; k++ {
					ids := tok.Encode(f.text(k), true)
					pack(h, ids)
					d := tok.Decode(ids, true)
					pack(h, []int{len(d)})
					h.Write([]byte(d))
				}
				if got := hex.EncodeToString(h.Sum(nil))[:8]; got != want {
					t.Fatalf("texts %d to %d: hash %s, want %s", 100*i, 100*i+99, got, want)
				}
			}
		})
	}
}

// TestPartsErrors: what is wrong is said with the file and the key.
func TestPartsErrors(t *testing.T) {
	for _, c := range []struct{ files, config, added, want string }{
		{"bytelevel", `{"tokenizer_class": "BartTokenizer"}`, ``, `tokenizer_config.json: tokenizer_class: "BartTokenizer" is not supported without a tokenizer.json; known from vocab.json and merges.txt: GPT2Tokenizer, CodeGenTokenizer, Qwen2Tokenizer, DebertaTokenizer, RobertaTokenizer`},
		{"sp_llama", `{"tokenizer_class": "T5TokenizerFast"}`, ``, `"T5TokenizerFast" is not supported without a tokenizer.json; known from tokenizer.model: LlamaTokenizer`},
		{"sp_llama", `{"added_tokens_decoder": {"7": {"contents": "x"}}}`, ``, `tokenizer_config.json: added_tokens_decoder.7.content: missing; did you mean "contents"?`},
		{"sp_llama", `{"bos_token": "<bos>"}`, ``, `bos_token is "<bos>", which is not in the vocabulary`},
		{"sp_llama", `{"legacy": "yes"}`, ``, `tokenizer_config.json: legacy: want true or false, got string`},
		{"bytelevel", `{}`, `{"<image>": "1102"}`, `added_tokens.json: <image>: want a number, got string`},
		{"wordpiece", `{"cls_token": "<cls>"}`, ``, `cls_token is "<cls>", which is not in the vocabulary`},
	} {
		dir := t.TempDir()
		writeParts(t, dir, c.files, json.RawMessage(c.config), json.RawMessage(c.added))
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: got %v\nwant %s", c.files, c.config, err, c.want)
		}
	}
	dir := t.TempDir()
	writeParts(t, dir, "sp_llama", json.RawMessage(`{}`), nil)
	other, err := os.ReadFile("testdata/sp_unigram.model")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.model"), other, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "want a BPE model with byte fallback") {
		t.Error(err)
	}
	if tok, err := Load(filepath.Join(dir, "tokenizer.model")); err != nil || tok.VocabSize() != 700 {
		t.Error(err)
	}
}
