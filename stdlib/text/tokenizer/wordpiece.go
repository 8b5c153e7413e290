package tokenizer

import "unicode/utf8"

// wordPiece takes the longest token again and again, inner ones with a prefix (Wu et al., 2016); a word with a part that is
// no token is unknown as a whole.
type wordPiece struct {
	first, inner *prefixTrie
	unk          int32
	longest      int // runes of a word that is looked at at all
}

// wordLevel has whole words only.
type wordLevel struct {
	vocab map[string]int32
	unk   int32
}

// readVocab reads a vocabulary of numbered tokens and the unknown token, which must be among them: text that the
// vocabulary lacks could not be encoded otherwise.
func readVocab(n node, unk string) (vocab map[string]int32, names []string, id int32, err error) {
	if vocab, err = need[map[string]int32](n, "vocab", "an object of numbers"); err != nil {
		return nil, nil, 0, err
	}
	if names, err = byID(n, vocab); err != nil {
		return nil, nil, 0, err
	}
	s, err := get(n, "unk_token", unk, "a string")
	if err != nil {
		return nil, nil, 0, err
	}
	id, ok := vocab[s]
	if !ok {
		return nil, nil, 0, n.errorf("unk_token", "%q is not in the vocabulary%s", s, hint(s, keysOf(vocab)))
	}
	return vocab, names, id, nil
}

func readWordPiece(n node) (*wordPiece, map[string]int32, []string, error) {
	vocab, names, unk, err := readVocab(n, "[UNK]")
	if err != nil {
		return nil, nil, nil, err
	}
	prefix, err := get(n, "continuing_subword_prefix", "##", "a string")
	if err != nil {
		return nil, nil, nil, err
	}
	w := &wordPiece{unk: unk, first: newPrefixTrie(suffixes(vocab, "")), inner: newPrefixTrie(suffixes(vocab, prefix))}
	w.longest, err = get(n, "max_input_chars_per_word", 100, "a number")
	return w, vocab, names, err
}

func readWordLevel(n node) (*wordLevel, map[string]int32, []string, error) {
	vocab, names, unk, err := readVocab(n, "<unk>")
	return &wordLevel{vocab, unk}, vocab, names, err
}

func (w *wordPiece) tokens(text string, s *scratch, out []token) []token {
	if known, ok := s.words[text]; ok {
		return append(out, known...)
	}
	from := len(out)
	out = w.cut(text, out)
	s.remember(text, out[from:])
	return out
}

func (w *wordPiece) cut(text string, out []token) []token {
	from := len(out)
	if utf8.RuneCountInString(text) > w.longest {
		return append(out, token{w.unk, int32(len(text))})
	}
	trie := w.first
	for at := 0; at < len(text); {
		id, n := trie.longest(text[at:])
		if n == 0 {
			return append(out[:from], token{w.unk, int32(len(text))})
		}
		out = append(out, token{id, int32(n)})
		at += n
		trie = w.inner
	}
	return out
}

func (w *wordLevel) tokens(text string, _ *scratch, out []token) []token {
	if text == "" {
		return out
	}
	id, ok := w.vocab[text]
	if !ok {
		id = w.unk
	}
	return append(out, token{id, int32(len(text))})
}
