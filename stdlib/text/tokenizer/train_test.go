package tokenizer

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/trained anew; run make_golden.py afterwards")

// trained is a vocabulary from the first 600 texts.
func trained(t testing.TB) *Files {
	t.Helper()
	f := loadFragments(t)
	files, err := TrainBPE(func(yield func(string) bool) {
		for i := range 600 {
			if !yield(f.text(i)) {
				return
			}
		}
	}, TrainOptions{VocabSize: 900})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestTrainBPE wants the very files that make_golden.py showed to the Rust library and to transformers, and
// the ids that those two gave (variant "trained" of golden.json).
func TestTrainBPE(t *testing.T) {
	files := trained(t)
	dir := filepath.Join("testdata", "trained")
	if *update {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := files.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	for name, got := range map[string][]byte{"tokenizer.json": files.Tokenizer, "tokenizer_config.json": files.Config, "special_tokens_map.json": files.Special} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from testdata; if that is meant, run with -update and then make_golden.py", name)
		}
	}
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := tok.VocabSize(); n != 902 {
		t.Errorf("%d tokens, want 900 and two added ones", n)
	}
	for role, want := range map[string]int32{"bos_token": 1, "eos_token": 2, "unk_token": 0, "image_token": 900, "pad_token": 901} {
		if id, ok := tok.Special(role); !ok || id != want {
			t.Errorf("%s is %d, %v, want %d", role, id, ok, want)
		}
	}
	for _, s := range []string{"Axial CT of the chest.", "3.5 cm — 日本 \n\t\x00é", " a  b ", "", "x"} {
		if got := tok.Decode(tok.Encode(s, true), true); got != s {
			t.Errorf("%q came back as %q", s, got)
		}
	}
	if got := tok.Encode("USER: <image>\nCT", false); !slices.Contains(got, 900) {
		t.Errorf("no image token in %v", spell(tok, got))
	}
}

// TestTrainBPESteps follows a small corpus by hand.
func TestTrainBPESteps(t *testing.T) {
	files, err := TrainBPE(slices.Values([]string{"aab aab aab ab", "aab 12 12 12"}), TrainOptions{VocabSize: 400, Added: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := files.Load()
	if err != nil {
		t.Fatal(err)
	}
	// The characters; then a+b (5 times), a+ab (4), ▁+aab (4; ▁+a counts 0 by then). ▁+ab occurs once.
	got := strings.Join(tok.names[259:], " ")
	if want := "1 2 a b ▁ ab aab ▁aab"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, name := range tok.names[264:] {
		if strings.ContainsAny(name, "12") {
			t.Errorf("token %q holds a digit and more", name)
		}
	}
}

func TestTrainBPEErrors(t *testing.T) {
	for _, c := range []struct {
		texts []string
		o     TrainOptions
		want  string
	}{
		{nil, TrainOptions{VocabSize: 300}, "there is no text"},
		{[]string{"a a b b"}, TrainOptions{VocabSize: 261}, "VocabSize 261 is too small: special tokens, bytes and 3 characters make 262 already"},
		{[]string{"a a b b"}, TrainOptions{VocabSize: 300, Added: []string{"</s>"}}, `added token "</s>" is empty or in the vocabulary already`},
	} {
		if _, err := TrainBPE(slices.Values(c.texts), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// TestTrainBPEOrder wants the same files whatever the order of the texts.
func TestTrainBPEOrder(t *testing.T) {
	f := loadFragments(t)
	var texts []string
	for i := range 200 {
		texts = append(texts, f.text(i))
	}
	train := func() string {
		files, err := TrainBPE(slices.Values(texts), TrainOptions{VocabSize: 700})
		if err != nil {
			t.Fatal(err)
		}
		return string(files.Tokenizer)
	}
	want := train()
	slices.Reverse(texts)
	if train() != want {
		t.Error("the order of the texts shows")
	}
}

// TestTrainByteLevel learns over bytes: every text comes back, and frequent words are tokens.
func TestTrainByteLevel(t *testing.T) {
	texts := []string{"a cyst of the kidney", "a cyst of the liver", "the kidney and the liver", "naïve 4.5 cm²"}
	files, err := TrainBPE(slices.Values(texts), TrainOptions{VocabSize: 300, ByteLevel: true, Added: []string{"<|endoftext|>", "<image>"}, Roles: [][2]string{{"eos_token", "<|endoftext|>"}}})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := files.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(texts, "ein Röntgenbild\n\tvon 北京 😀", "<image> x<|endoftext|>") {
		ids := tok.Encode(s, true)
		if got := tok.Decode(ids, false); got != s {
			t.Errorf("%q comes back as %q", s, got)
		}
	}
	if n := len(tok.Encode(" the kidney", false)); n != 2 {
		t.Errorf("\" the kidney\" takes %d tokens; want 2", n)
	}
	if id, ok := tok.Special("eos_token"); !ok || id != int32(tok.VocabSize())-2 {
		t.Errorf("eos_token is %d of %d tokens", id, tok.VocabSize())
	}
	files, err = TrainBPE(slices.Values(texts), TrainOptions{VocabSize: 300, Roles: [][2]string{{"pad_token", "<unk>"}}})
	if err != nil {
		t.Fatal(err)
	}
	if tok, err = files.Load(); err != nil {
		t.Fatal(err)
	}
	if id, ok := tok.Special("pad_token"); !ok || id != 0 {
		t.Errorf("pad_token is %d, %v; want <unk>, 0", id, ok)
	}
	if _, err := TrainBPE(slices.Values(texts), TrainOptions{VocabSize: 300, ByteLevel: true, Roles: [][2]string{{"eos_token", "<end>"}}}); err == nil || !strings.Contains(err.Error(), `eos_token is "<end>", which is no added token`) {
		t.Error(err)
	}
}
