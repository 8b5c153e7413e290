package tokenizer

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// unigram cuts text into the tokens whose scores have the greatest sum (Kudo, 2018), found by the Viterbi algorithm.
//
// The Rust library adds in float64; SentencePiece keeps the sums in float32, and ties hang on it.
type unigram struct {
	trie     *prefixTrie // of all tokens that may stand for text
	scores   []float64
	unk      int32
	unkScore float64
	single   bool                                  // keep sums in float32
	fallback *[256]int32                           // <0x00> … <0xFF>; nil without byte fallback
	bonus    func(id int32, n int) (float64, bool) // score of user-defined tokens; nil without such
	byText   map[string]int32                      // ids of unknown stretches that are tokens after all; nil for none
}

// unkPenalty is how much less than the least token's an unknown rune's score is.
const unkPenalty = 10

// readUnigram reads {"vocab": [["token", score], …], "unk_id": n}.
func readUnigram(n node) (*unigram, map[string]int32, []string, error) {
	fail := func(err error) (*unigram, map[string]int32, []string, error) { return nil, nil, nil, err }
	pairs, err := need[[][2]any](n, "vocab", "a list of [token, score]")
	if err != nil {
		return fail(err)
	}
	u := &unigram{scores: make([]float64, len(pairs))}
	vocab, names := make(map[string]int32, len(pairs)), make([]string, len(pairs))
	least := math.Inf(1)
	for i, p := range pairs {
		s, ok1 := p[0].(string)
		score, ok2 := p[1].(float64)
		if !ok1 || !ok2 {
			return fail(n.errorf(fmt.Sprintf("vocab[%d]", i), "want [token, score], got %v", p))
		}
		vocab[s], names[i], u.scores[i] = int32(i), s, score
		least = min(least, score)
	}
	if raw, ok := n.fields["unk_id"]; !ok || string(raw) == "null" {
		return fail(n.errorf("unk_id", "missing: without it a character that the vocabulary lacks cannot be encoded"))
	}
	if u.unk, err = need[int32](n, "unk_id", "a number"); err != nil {
		return fail(err)
	}
	if u.unk < 0 || int(u.unk) >= len(pairs) {
		return fail(n.errorf("unk_id", "%d is not in the vocabulary of %d tokens", u.unk, len(pairs)))
	}
	u.unkScore = least - unkPenalty
	fallback, err := get(n, "byte_fallback", false, "true or false")
	if err != nil {
		return fail(err)
	}
	if fallback {
		u.fallback = byteTokens(vocab)
	}
	u.byText = vocab
	tokens := make(map[string]int32, len(vocab))
	for s, id := range vocab {
		if s != "" {
			tokens[s] = id
		}
	}
	u.trie = newPrefixTrie(tokens)
	return u, vocab, names, nil
}

// byteTokens is the id of each byte's token, -1 where there is none.
func byteTokens(vocab map[string]int32) *[256]int32 {
	out := new([256]int32)
	for i := range out {
		out[i] = -1
		if id, ok := vocab[fmt.Sprintf("<0x%02X>", i)]; ok {
			out[i] = id
		}
	}
	return out
}

// pathNode is the best way to a position of the text: the token that ends there, where it begins, and the sum so far.
type pathNode struct {
	score float64
	from  int32 // -1: no way
	id    int32
}

func (u *unigram) tokens(text string, s *scratch, out []token) []token {
	if text == "" {
		return out
	}
	if u.single { // whole sentences, seldom seen twice
		return u.cut(text, s, out)
	}
	if known, ok := s.words[text]; ok {
		return append(out, known...)
	}
	from := len(out)
	out = u.cut(text, s, out)
	s.remember(text, out[from:])
	return out
}

// cut finds the best path and reads it from the back.
func (u *unigram) cut(text string, s *scratch, out []token) []token {
	u.search(text, s)
	from := len(out)
	for hi := int32(len(text)); hi > 0; {
		n := s.path[hi]
		lo := n.from
		if n.id == u.unk { // neighbours are one
			for lo > 0 && s.path[lo].id == u.unk {
				lo = s.path[lo].from
			}
		}
		out = append(out, token{n.id, hi - lo})
		hi = lo
	}
	for i, j := from, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return u.spellUnknown(text, out, from)
}

// search fills s.path with the best way to every position.
func (u *unigram) search(text string, s *scratch) {
	if cap(s.path) < len(text)+1 {
		s.path = make([]pathNode, len(text)+1+len(text)/2)
	}
	path := s.path[:len(text)+1]
	for i := range path {
		path[i] = pathNode{from: -1, id: -1}
	}
	path[0].score = 0
	cells := u.trie.cells
	for at := 0; at < len(text); {
		_, size := utf8.DecodeRuneInString(text[at:])
		known, here := false, path[at].score
		cell := int32(0)
		for k := at; k < len(text); k++ {
			to := cells[cell].base + int32(text[k])
			if to <= 0 || int(to) >= len(cells) || cells[to].parent != cell {
				break
			}
			cell = to
			id := cells[cell].value
			if id < 0 {
				continue
			}
			score := u.scores[id]
			if u.bonus != nil {
				if b, ok := u.bonus(id, k+1-at); ok {
					score = b
				}
			}
			u.offer(&path[k+1], score+here, int32(at), id)
			known = known || k+1-at == size
		}
		if !known {
			score := u.unkScore + here
			if u.single {
				score = float64(float32(score)) // here the sum is rounded before it is compared
			}
			u.offer(&path[at+size], score, int32(at), u.unk)
		}
		at += size
	}
	s.path = path
}

// offer takes a way if it is the first to a position, or better than the best so far.
func (u *unigram) offer(n *pathNode, score float64, from, id int32) {
	if n.from >= 0 && score <= n.score {
		return
	}
	if u.single {
		score = float64(float32(score))
	}
	*n = pathNode{score, from, id}
}

// spellUnknown spells unknown stretches by the tokens of their bytes, where the model has those.
func (u *unigram) spellUnknown(text string, out []token, from int) []token {
	if u.fallback == nil && u.byText == nil {
		return out
	}
	at := 0
	for i := from; i < len(out); i++ {
		k := out[i]
		stretch := text[at : at+int(k.n)]
		at += int(k.n)
		if k.id != u.unk {
			continue
		}
		if id, ok := u.byText[stretch]; ok {
			out[i].id = id
			continue
		}
		if u.fallback == nil {
			continue
		}
		var spelt []token
		for b := range len(stretch) {
			id := u.fallback[stretch[b]]
			if id < 0 {
				spelt = nil
				break
			}
			spelt = append(spelt, token{id, -k.n}) // each stands for the whole stretch
		}
		if spelt == nil {
			continue
		}
		spelt[len(spelt)-1].n = k.n
		out = append(out[:i], append(spelt, out[i+1:]...)...)
		i += len(spelt) - 1
	}
	return out
}
