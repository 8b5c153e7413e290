package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// Checkpoints without a tokenizer.json: their files are read into one, as transformers 5.23 converts them.

// parts is what such a directory says.
type parts struct {
	dir    string
	config node             // tokenizer_config.json
	class  string           // its tokenizer_class, without Fast
	added  []map[string]any // added tokens in order
	roles  map[string]string
}

// form is one set of files that a tokenizer can be read from.
type form struct {
	files   []string
	classes []string // of tokenizer_config.json; "" stands for none
	roles   map[string]string
	own     map[string]map[string]string // roles of classes that have others
	read    func(*parts) (*Tokenizer, error)
}

// byModel is the class of models whose tokenizer_config.json names none, by config.json's model_type.
var byModel = map[string]string{"deberta": "DebertaTokenizer", "roberta": "RobertaTokenizer"}

func forms() []form {
	end := map[string]string{"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
	bert := map[string]string{"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"}
	deberta := maps.Clone(bert)
	deberta["bos_token"], deberta["eos_token"] = "[CLS]", "[SEP]"
	roberta := map[string]string{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>",
		"cls_token": "<s>", "mask_token": "<mask>"}
	clip := map[string]string{"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
	return []form{
		{files: []string{"tokenizer.model"}, classes: []string{"LlamaTokenizer", ""},
			roles: map[string]string{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}, read: (*parts).llama},
		{files: []string{"vocab.json", "merges.txt"}, classes: []string{"GPT2Tokenizer", "CodeGenTokenizer", "Qwen2Tokenizer", "DebertaTokenizer", "RobertaTokenizer", clipTokenizer, ""},
			roles: end, own: map[string]map[string]string{"DebertaTokenizer": deberta, "RobertaTokenizer": roberta, clipTokenizer: clip}, read: (*parts).byteLevel},
		{files: []string{"vocab.txt"}, classes: []string{"BertTokenizer", "BleurtTokenizer", ""}, roles: bert, read: (*parts).bert},
	}
}

// loadParts reads a directory without a tokenizer.json.
func loadParts(dir string) (*Tokenizer, error) {
	var would []string
	for _, f := range forms() {
		missing := slices.ContainsFunc(f.files, func(name string) bool {
			_, err := os.Stat(filepath.Join(dir, name))
			return err != nil
		})
		if missing {
			would = append(would, strings.Join(f.files, " with "))
			continue
		}
		p, err := readParts(dir, f)
		if err != nil {
			return nil, err
		}
		t, err := f.read(p)
		if err != nil {
			return nil, err
		}
		for role, s := range p.roles {
			t.special[role] = s
		}
		return t, t.readRoles(dir)
	}
	return nil, fmt.Errorf("%s: no tokenizer; any of these would do: tokenizer.json, %s", dir, strings.Join(would, ", "))
}

// optional reads a JSON object that may not be there.
func optional(dir, name string) (node, error) {
	path := filepath.Join(dir, name)
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return node{}, err
	}
	n, _, err := readObject(path, "", raw)
	return n, err
}

func readParts(dir string, f form) (*parts, error) {
	config, err := optional(dir, "tokenizer_config.json")
	if err != nil {
		return nil, err
	}
	p := &parts{dir: dir, config: config}
	class, err := get(config, "tokenizer_class", "", "a string")
	if err != nil {
		return nil, err
	}
	p.class = strings.TrimSuffix(class, "Fast")
	if p.class == "" {
		of, err := optional(dir, "config.json")
		if err != nil {
			return nil, err
		}
		kind, err := get(of, "model_type", "", "a string")
		if err != nil {
			return nil, err
		}
		if c := byModel[kind]; slices.Contains(f.classes, c) {
			p.class = c
		}
	}
	if !slices.Contains(f.classes, p.class) {
		return nil, config.errorf("tokenizer_class", "%q is not supported without a tokenizer.json; known from %s: %s",
			class, strings.Join(f.files, " and "), strings.Join(f.classes[:len(f.classes)-1], ", "))
	}
	roles := f.roles
	if own, ok := f.own[p.class]; ok {
		roles = own
	}
	return p, p.readAdded(roles)
}

const clipTokenizer = "CLIPTokenizer"

// readAdded lists the added tokens: those of tokenizer_config.json's added_tokens_decoder, else of added_tokens.json, both by
// ascending id, then the tokens that have a role. tokenizers numbers them in this order.
func (p *parts) readAdded(defaults map[string]string) error {
	roles := &Tokenizer{special: map[string]string{}}
	for role, s := range defaults {
		roles.special[role] = s
	}
	if err := roles.readRoles(p.dir); err != nil {
		return err
	}
	p.roles = roles.special
	special := map[string]bool{}
	for _, s := range p.roles {
		special[s] = true
	}
	listed, ok, err := p.config.child("added_tokens_decoder")
	if err != nil {
		return err
	}
	if ok {
		for _, key := range numeric(keysOf(listed.fields)) {
			a, _, err := listed.child(key)
			if err != nil {
				return err
			}
			var token map[string]any
			if _, err := readAddedToken(a); err != nil {
				return err
			}
			if err := json.Unmarshal(listed.fields[key], &token); err != nil {
				return listed.errorf(key, "%w", err)
			}
			p.add(token)
		}
	} else {
		path := filepath.Join(p.dir, "added_tokens.json")
		more, err := optional(p.dir, "added_tokens.json")
		if err != nil {
			return err
		}
		ids := map[string]int32{}
		for s := range more.fields {
			if ids[s], err = need[int32](more, s, "a number"); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		names := keysOf(ids)
		sort.SliceStable(names, func(i, j int) bool { return ids[names[i]] < ids[names[j]] })
		for _, s := range names {
			p.add(map[string]any{"content": s, "special": special[s], "normalized": !special[s]})
		}
	}
	for _, role := range []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"} {
		if s, ok := p.roles[role]; ok {
			p.add(map[string]any{"content": s, "special": true, "normalized": false})
		}
	}
	return nil
}

// numeric sorts numbers that are written as strings.
func numeric(keys []string) []string {
	sort.SliceStable(keys, func(i, j int) bool {
		a, b := keys[i], keys[j]
		return len(a) < len(b) || len(a) == len(b) && a < b
	})
	return keys
}

// add appends a token that is not there yet.
func (p *parts) add(token map[string]any) {
	for _, old := range p.added {
		if old["content"] == token["content"] {
			return
		}
	}
	p.added = append(p.added, token)
}

type stage = map[string]any

// around is the post-processor that puts the tokens of roles before and behind the text.
func (p *parts) around(before, behind []string, vocab map[string]int32) (stage, error) {
	single, specials := []stage{}, stage{}
	put := func(roles []string) error {
		for _, role := range roles {
			s := p.roles[role]
			id, ok := vocab[s]
			if !ok {
				return fmt.Errorf("%s: %s is %q, which is not in the vocabulary", p.dir, role, s)
			}
			single = append(single, stage{"SpecialToken": stage{"id": s, "type_id": 0}})
			specials[s] = stage{"id": s, "ids": []int32{id}, "tokens": []string{s}}
		}
		return nil
	}
	err := put(before)
	single = append(single, stage{"Sequence": stage{"id": "A", "type_id": 0}})
	err = errors.Join(err, put(behind))
	return stage{"type": "TemplateProcessing", "single": single, "special_tokens": specials}, err
}

// ends is around for bos_token and eos_token, where the configuration wants them.
func (p *parts) ends(bos bool, vocab map[string]int32) (stage, error) {
	var before, behind []string
	if on, err := get(p.config, "add_bos_token", bos, "true or false"); err != nil {
		return nil, err
	} else if on {
		before = []string{"bos_token"}
	}
	if on, err := get(p.config, "add_eos_token", false, "true or false"); err != nil {
		return nil, err
	} else if on {
		behind = []string{"eos_token"}
	}
	return p.around(before, behind, vocab)
}

// build makes the tokenizer of a tokenizer.json that is put together here; model reads its model, nil from the file.
func (p *parts) build(file string, root stage, model func(*Tokenizer) error) (*Tokenizer, error) {
	root["added_tokens"] = p.added
	raw, err := json.Marshal(root)
	if err != nil {
		return nil, err
	}
	n, _, err := readObject(filepath.Join(p.dir, file), "", raw)
	if err != nil {
		return nil, err
	}
	return assemble(n, model)
}

// llama reads tokenizer.model.
func (p *parts) llama() (*Tokenizer, error) {
	path := filepath.Join(p.dir, "tokenizer.model")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := readSPModel(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if m.kind != 2 || !m.fallback || len(m.charsmap) > 0 || m.trimSpaces || !m.escape {
		return nil, fmt.Errorf("%s: want a BPE model with byte fallback, without normalisation, as Llama's is; others need a tokenizer.json", path)
	}
	raw := newTokenizer(path)
	if err := raw.useSentencePiece(m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	post, err := p.ends(true, raw.vocab)
	if err != nil {
		return nil, err
	}
	old, err := get(p.config, "legacy", false, "true or false")
	if err != nil {
		return nil, err
	}
	scheme := "first"
	if old {
		scheme = "always"
	}
	if on, err := get(p.config, "add_prefix_space", true, "true or false"); err != nil {
		return nil, err
	} else if !on {
		scheme = "never"
	}
	return p.build("tokenizer.model", stage{
		"pre_tokenizer":  stage{"type": "Metaspace", "replacement": mark, "prepend_scheme": scheme, "split": false},
		"post_processor": post,
		"decoder": stage{"type": "Sequence", "decoders": []stage{
			{"type": "Replace", "pattern": stage{"String": mark}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
			{"type": "Strip", "content": " ", "start": 1, "stop": 0}}},
	}, func(t *Tokenizer) error {
		t.model, t.vocab, t.names = raw.model, raw.vocab, raw.names
		return nil
	})
}

// byteLevel reads vocab.json and merges.txt.
func (p *parts) byteLevel() (*Tokenizer, error) {
	path := filepath.Join(p.dir, "vocab.json")
	vocab, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var ids map[string]int32
	if err := json.Unmarshal(vocab, &ids); err != nil {
		return nil, fmt.Errorf("%s: %w", path, describe(err, "an object of numbers"))
	}
	text, err := os.ReadFile(filepath.Join(p.dir, "merges.txt"))
	if err != nil {
		return nil, err
	}
	merges := []string{} // a vocabulary of bytes alone has none
	for i, line := range strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n") {
		if line != "" && !(i == 0 && strings.HasPrefix(line, "#version")) {
			merges = append(merges, line)
		}
	}
	space, err := get(p.config, "add_prefix_space", false, "true or false")
	if err != nil {
		return nil, err
	}
	post, err := p.ends(false, ids)
	if err != nil {
		return nil, err
	}
	var norm, pre any = nil, stage{"type": "ByteLevel", "add_prefix_space": space, "use_regex": true}
	switch p.class {
	case "Qwen2Tokenizer":
		norm = stage{"type": "NFC"}
		pre = stage{"type": "Sequence", "pretokenizers": []stage{
			{"type": "Split", "pattern": stage{"Regex": patternQwen2}, "behavior": "Isolated", "invert": false},
			{"type": "ByteLevel", "add_prefix_space": space, "use_regex": false}}}
	case "DebertaTokenizer", "RobertaTokenizer":
		if post, err = p.around([]string{"cls_token"}, []string{"sep_token"}, ids); err != nil {
			return nil, err
		}
	case "CodeGenTokenizer":
		post = stage{"type": "ByteLevel", "trim_offsets": false}
	}
	model := stage{"type": "BPE", "vocab": json.RawMessage(vocab), "merges": merges}
	if p.class == clipTokenizer {
		norm = stage{"type": "Sequence", "normalizers": []stage{{"type": "NFC"},
			{"type": "Replace", "pattern": stage{"Regex": `\s+`}, "content": " "}, {"type": "Lowercase"}}}
		pre = stage{"type": "Sequence", "pretokenizers": []stage{
			{"type": "Split", "pattern": stage{"Regex": patternCLIP}, "behavior": "Removed", "invert": true},
			{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}}}
		if post, err = p.around([]string{"bos_token"}, []string{"eos_token"}, ids); err != nil {
			return nil, err
		}
		model["unk_token"], model["end_of_word_suffix"] = p.roles["unk_token"], "</w>"
	}
	return p.build("vocab.json", stage{"normalizer": norm, "pre_tokenizer": pre, "post_processor": post, "decoder": stage{"type": "ByteLevel"},
		"model": model}, nil)
}

// bert reads vocab.txt: a token on each line.
func (p *parts) bert() (*Tokenizer, error) {
	text, err := os.ReadFile(filepath.Join(p.dir, "vocab.txt"))
	if err != nil {
		return nil, err
	}
	vocab := map[string]int32{}
	for i, line := range strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"), "\n") {
		vocab[line] = int32(i)
	}
	post, err := p.around([]string{"cls_token"}, []string{"sep_token"}, vocab)
	if err != nil {
		return nil, err
	}
	norm := stage{"type": "BertNormalizer", "clean_text": true}
	for key, name := range map[string]string{"do_lower_case": "lowercase", "strip_accents": "strip_accents", "tokenize_chinese_chars": "handle_chinese_chars"} {
		if raw, ok := p.config.fields[key]; ok {
			norm[name] = raw
		}
	}
	return p.build("vocab.txt", stage{"normalizer": norm, "pre_tokenizer": stage{"type": "BertPreTokenizer"}, "post_processor": post,
		"decoder": stage{"type": "WordPiece", "prefix": "##", "cleanup": true},
		"model":   stage{"type": "WordPiece", "vocab": vocab, "unk_token": p.roles["unk_token"]}}, nil)
}
