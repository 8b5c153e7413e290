package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxTokenID bounds what a vocabulary may number, so that a lying file cannot ask for terabytes.
const maxTokenID = 1 << 24

// model cuts a piece of text into tokens, which it appends to out.
type model interface {
	tokens(text string, s *scratch, out []token) []token
}

// readModel reads the model, its vocabulary and the tokens by id.
func (t *Tokenizer) readModel(n node) error {
	kind, err := get(n, "type", "", "a string")
	if err != nil {
		return err
	}
	if kind == "" { // old files do not name it
		if _, ok := n.fields["merges"]; !ok {
			return n.errorf("type", "missing, and there are no merges: what model is it?")
		}
		kind = "BPE"
	}
	switch kind {
	case "BPE":
		var b *bpe
		if b, t.names, err = readBPE(n); err == nil {
			t.model, t.vocab = b, b.vocab
		}
	case "Unigram":
		t.model, t.vocab, t.names, err = modelOf(readUnigram(n))
	case "WordPiece":
		t.model, t.vocab, t.names, err = modelOf(readWordPiece(n))
	case "WordLevel":
		t.model, t.vocab, t.names, err = modelOf(readWordLevel(n))
	default:
		err = n.unknownKind(kind, "BPE", "Unigram", "WordPiece", "WordLevel")
	}
	return err
}

func modelOf[M model](m M, vocab map[string]int32, names []string, err error) (model, map[string]int32, []string, error) {
	return m, vocab, names, err
}

func readBPE(n node) (*bpe, []string, error) {
	b := &bpe{unk: -1}
	drop, err := get(n, "dropout", 0.0, "a number")
	if err == nil && drop != 0 {
		err = n.errorf("dropout", "%v: a tokenizer that cuts at random is not supported; set it to null", drop)
	}
	if err != nil {
		return nil, nil, err
	}
	if b.vocab, err = need[map[string]int32](n, "vocab", "an object of numbers"); err != nil {
		return nil, nil, err
	}
	names, err := byID(n, b.vocab)
	if err != nil {
		return nil, nil, err
	}
	if err := b.readOptions(n); err != nil {
		return nil, nil, err
	}
	if err := b.readMerges(n); err != nil {
		return nil, nil, err
	}
	b.indexRunes()
	return b, names, nil
}

// byID turns a vocabulary round.
func byID(n node, vocab map[string]int32) ([]string, error) {
	last := int32(-1)
	for s, id := range vocab {
		if id < 0 || id > maxTokenID {
			return nil, n.errorf("vocab", "token %q has id %d, want 0 to %d", s, id, maxTokenID)
		}
		last = max(last, id)
	}
	names := make([]string, last+1)
	for s, id := range vocab {
		if names[id] != "" {
			a, b := min(s, names[id]), max(s, names[id])
			return nil, n.errorf("vocab", "tokens %q and %q have the same id %d", a, b, id)
		}
		names[id] = s
	}
	return names, nil
}

func (b *bpe) readOptions(n node) error {
	var fallback bool
	var unk string
	var err error
	for _, o := range []struct {
		key string
		to  *bool
	}{{"fuse_unk", &b.fuseUnk}, {"byte_fallback", &fallback}, {"ignore_merges", &b.ignoreMerges}} {
		if *o.to, err = get(n, o.key, false, "true or false"); err != nil {
			return err
		}
	}
	for _, o := range []struct {
		key string
		to  *string
	}{{"unk_token", &unk}, {"continuing_subword_prefix", &b.prefix}, {"end_of_word_suffix", &b.suffix}} {
		if *o.to, err = get(n, o.key, "", "a string"); err != nil {
			return err
		}
	}
	if unk != "" {
		id, ok := b.vocab[unk]
		if !ok {
			return n.errorf("unk_token", "%q is not in the vocabulary%s", unk, hint(unk, keysOf(b.vocab)))
		}
		b.unk = id
	}
	if fallback {
		b.fallback = byteTokens(b.vocab)
	}
	return nil
}

// readMerges reads the merges in order of rank.
func (b *bpe) readMerges(n node) error {
	pairs, err := mergePairs(n)
	if err != nil {
		return err
	}
	b.merges = newPairTable(len(pairs))
	for i, p := range pairs {
		joined := p[0] + strings.TrimPrefix(p[1], b.prefix)
		if strings.Contains(strings.TrimLeft(joined, mark), mark) {
			b.crosses = true
		}
		var ids [3]int32
		for k, s := range [...]string{p[0], p[1], joined} {
			id, ok := b.vocab[s]
			if !ok {
				return n.errorf(fmt.Sprintf("merges[%d]", i), "%q and %q: token %q is not in the vocabulary", p[0], p[1], s)
			}
			ids[k] = id
		}
		b.merges.put(ids[0], ids[1], merge{uint32(i), ids[2]})
	}
	return nil
}

// mergePairs reads a list of "a b" strings, which may begin with a "#version" line, or of ["a", "b"] pairs.
func mergePairs(n node) ([][]string, error) {
	var lines []string
	if json.Unmarshal(n.fields["merges"], &lines) != nil {
		pairs, err := need[[][]string](n, "merges", `a list of ["a", "b"] or of "a b"`)
		for i, p := range pairs {
			if len(p) != 2 && err == nil {
				err = n.errorf(fmt.Sprintf("merges[%d]", i), "want two strings, got %d", len(p))
			}
		}
		return pairs, err
	}
	if _, ok := n.fields["merges"]; !ok || lines == nil {
		return need[[][]string](n, "merges", "a list")
	}
	pairs := make([][]string, 0, len(lines))
	for i, s := range lines {
		if strings.HasPrefix(s, "#version") {
			continue
		}
		l, r, ok := strings.Cut(s, " ")
		if !ok || strings.Contains(r, " ") {
			return nil, n.errorf(fmt.Sprintf("merges[%d]", i), "want two tokens with one space between, got %q", s)
		}
		pairs = append(pairs, []string{l, r})
	}
	return pairs, nil
}

func (b *bpe) indexRunes() {
	b.runeID = map[rune]int32{}
	for s, id := range b.vocab {
		if r, n := utf8.DecodeRuneInString(s); n == len(s) && n > 0 {
			b.runeID[r] = id
		}
	}
}

// readBytes makes the model read bytes where it would read the runes that stand for them. It says no,
// and changes nothing, if the model could tell the two apart.
func (b *bpe) readBytes() bool {
	if b.prefix != "" || b.suffix != "" || b.fallback != nil {
		return false
	}
	b.raw, b.rawVocab = new([256]int32), map[string]int32{}
	for i := range b.raw {
		b.raw[i] = -1
		if id, ok := b.vocab[byteChar[i]]; ok {
			b.raw[i] = id
		}
	}
	for s, id := range b.vocab {
		if raw, ok := charsToBytes(s); ok && b.ignoreMerges {
			b.rawVocab[string(raw)] = id
		}
	}
	return true
}

// mark stands for a space in SentencePiece vocabularies.
const mark = "▁"

// findBoundary is mark if text may be cut before it wherever it follows something else: if it is a token
// by itself and no merge makes a token with the mark behind another rune.
func (b *bpe) findBoundary() string {
	if _, ok := b.vocab[mark]; !ok || b.crosses || b.prefix != "" || b.suffix != "" || b.ignoreMerges {
		return ""
	}
	return mark
}

func sortedIDs[V any](m map[int32]V) []int32 {
	ids := make([]int32, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
