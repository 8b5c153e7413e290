package tokenizer

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Load reads a tokenizer.json or a SentencePiece .model, or what a checkpoint directory has together with the roles of its
// special tokens (tokenizer_config.json, special_tokens_map.json): tokenizer.json, or as transformers 5.23 converts
// them tokenizer.model (Llama's), vocab.json with merges.txt (GPT-2, CodeGen, Qwen2,
// DeBERTa, RoBERTa, CLIP) or vocab.txt (BERT).
func Load(path string) (*Tokenizer, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if info.IsDir() {
		dir := path
		path = filepath.Join(dir, "tokenizer.json")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return loadParts(dir)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if filepath.Ext(path) == ".model" {
		return ParseSentencePiece(path, data)
	}
	t, err := Parse(path, data)
	if err != nil {
		return nil, err
	}
	return t, t.readRoles(filepath.Dir(path))
}

// Parse reads the bytes of a tokenizer.json; file names it in errors.
func Parse(file string, data []byte) (*Tokenizer, error) {
	root, ok, err := readObject(file, "", data)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, root.errorf("", "empty file")
	}
	if v, err := get(root, "version", "1.0", "a string"); err != nil {
		return nil, err
	} else if v != "1.0" {
		return nil, root.errorf("version", "%q is not supported, want \"1.0\"", v)
	}
	return assemble(root, nil)
}

// assemble makes the tokenizer of a tokenizer.json. model sets its model, vocabulary and names; nil: the file has them.
func assemble(root node, model func(*Tokenizer) error) (*Tokenizer, error) {
	t := newTokenizer(root.file)
	err := t.readStages(root)
	if err != nil {
		return nil, err
	}
	if model == nil {
		model = func(t *Tokenizer) error { return t.readModelOf(root) }
	}
	if err := model(t); err != nil {
		return nil, err
	}
	if err := t.readAdded(root); err != nil {
		return nil, err
	}
	if t.post, err = readPost(root, t); err != nil {
		return nil, err
	}
	return t, nil
}

func newTokenizer(file string) *Tokenizer {
	t := &Tokenizer{path: file, special: map[string]string{}, addedByID: map[int32]Added{}, addedByKey: map[string]int32{}, visible: map[int32]string{}}
	t.pool.New = func() any { return &scratch{words: map[string][]token{}} }
	return t
}

func (t *Tokenizer) readStages(root node) error {
	n, ok, err := root.child("normalizer")
	if err == nil && ok {
		t.norm, err = readNormalizer(n)
	}
	if err != nil {
		return err
	}
	if n, ok, err = root.child("pre_tokenizer"); err == nil && ok {
		t.pre, err = readPre(n, t.pre)
	}
	if err != nil {
		return err
	}
	if n, ok, err = root.child("decoder"); err == nil && ok {
		t.anyDecoder = true
		t.decoder, err = readDecoder(n, nil)
	}
	if err != nil {
		return err
	}
	for _, p := range t.pre {
		if m, ok := p.(metaspace); ok && m.scheme == "first" {
			t.needsAlign = true
		}
	}
	return nil
}

// readModelOf reads the model of a tokenizer.json.
func (t *Tokenizer) readModelOf(root node) error {
	n, ok, err := root.child("model")
	if err != nil {
		return err
	}
	if !ok {
		return root.errorf("model", "missing%s", hint("model", keysOf(root.fields)))
	}
	if err := t.readModel(n); err != nil {
		return err
	}
	m, ok := t.model.(*bpe)
	if !ok {
		return nil
	}
	if k := len(t.pre); k > 0 {
		if b, ok := t.pre[k-1].(byteLevel); ok && m.readBytes() {
			b.raw = true
			t.pre[k-1] = b
		}
	}
	if m.raw == nil {
		m.boundary = m.findBoundary()
	}
	return nil
}

func (t *Tokenizer) readAdded(root node) error {
	if raw, ok := root.fields["added_tokens"]; ok && string(raw) != "null" {
		list, err := root.list("added_tokens")
		if err != nil {
			return err
		}
		next := int32(len(t.vocab))
		for _, n := range list {
			a, err := readAddedToken(n)
			if err != nil {
				return err
			}
			if a.Content == "" {
				continue
			}
			t.addToken(a, &next)
		}
	}
	for _, id := range sortedIDs(t.addedByID) {
		t.added = append(t.added, t.addedByID[id])
	}
	t.early = newFinder(t.added, func(a Added) (string, bool) { return a.Content, !a.Normalized })
	t.late = newFinder(t.added, func(a Added) (string, bool) {
		if s, ok := t.visible[a.ID]; ok {
			return s, a.Normalized
		}
		return a.Content, a.Normalized
	})
	return nil
}

// addToken gives an added token its id as tokenizers does: that of the vocabulary, or the next free one,
// whatever the file says.
func (t *Tokenizer) addToken(a Added, next *int32) {
	id, ok := t.addedByKey[a.Content]
	if !ok {
		id, ok = t.vocab[a.Content]
	}
	if !ok {
		id = *next
		*next++
	}
	a.ID = id
	if a.Normalized && t.norm != nil {
		p := piece{text: a.Content}
		t.norm.normalize(&p)
		if p.text != a.Content {
			t.visible[id] = p.text
		}
	}
	t.addedByKey[a.Content] = id
	t.addedByID[id] = a
}

func readAddedToken(n node) (a Added, err error) {
	var errs [6]error
	a.Content, errs[0] = need[string](n, "content", "a string")
	a.SingleWord, errs[1] = get(n, "single_word", false, "true or false")
	a.LStrip, errs[2] = get(n, "lstrip", false, "true or false")
	a.RStrip, errs[3] = get(n, "rstrip", false, "true or false")
	a.Special, errs[4] = get(n, "special", false, "true or false")
	a.Normalized, errs[5] = get(n, "normalized", !a.Special, "true or false")
	return a, errors.Join(errs[:]...)
}

// readRoles reads which token has which role; the files are optional.
func (t *Tokenizer) readRoles(dir string) error {
	for _, name := range []string{"special_tokens_map.json", "tokenizer_config.json"} {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := t.parseRoles(path, data); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tokenizer) parseRoles(path string, data []byte) error {
	root, _, err := readObject(path, "", data)
	if err != nil {
		return err
	}
	// An object in transformers 4, also under another name in 5; a list there has no roles.
	for _, key := range []string{"extra_special_tokens", "model_specific_special_tokens"} {
		if extra, ok, err := root.child(key); ok && err == nil {
			t.addRoles(extra)
		}
	}
	t.addRoles(root)
	return nil
}

// addRoles takes every "…_token" of n whose value is a string or an added token.
func (t *Tokenizer) addRoles(n node) {
	for _, role := range keysOf(n.fields) {
		if !strings.HasSuffix(role, "_token") {
			continue
		}
		var s string
		var a struct{ Content string }
		if json.Unmarshal(n.fields[role], &s) == nil && s != "" {
			t.special[role] = s
		} else if json.Unmarshal(n.fields[role], &a) == nil && a.Content != "" {
			t.special[role] = a.Content
		}
	}
}
