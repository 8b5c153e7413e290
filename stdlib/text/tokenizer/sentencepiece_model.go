package tokenizer

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// newSPUnigram makes the model that SentencePiece makes of the pieces.
func newSPUnigram(pieces []spPiece, unk int32, fallback *[256]int32) *unigram {
	u := &unigram{scores: make([]float64, len(pieces)), unk: unk, single: true, fallback: fallback}
	tokens := map[string]int32{}
	least, most := float32(math.MaxFloat32), float32(0x1p-126) // FLT_MAX and FLT_MIN, which is no -FLT_MAX
	for i, p := range pieces {
		u.scores[i] = float64(p.score)
		switch p.kind {
		case pieceNormal:
			least, most = min(least, p.score), max(most, p.score)
			tokens[p.text] = int32(i)
		case pieceUserDefined:
			tokens[p.text] = int32(i)
			u.bonus = func(id int32, n int) (float64, bool) { // it is always taken
				return float64(float32(n)*most) - 0.1, pieces[id].kind == pieceUserDefined
			}
		}
	}
	u.unkScore = float64(least - unkPenalty)
	u.trie = newPrefixTrie(tokens)
	return u
}

// newSPBPE turns the pieces into merges: SentencePiece joins two neighbours if together they are a piece, the piece of the
// greatest score first and of equal ones the leftmost.
func newSPBPE(pieces []spPiece, vocab map[string]int32, unk int32, fallback *[256]int32, user *prefixTrie) *bpe {
	b := &bpe{vocab: vocab, unk: unk, runeID: map[rune]int32{}, fallback: fallback, sp: &spSymbols{user: user, known: int32(len(pieces))}}
	var scores []float32
	merged := 0
	for i, p := range pieces {
		if p.kind != pieceNormal {
			continue
		}
		scores = append(scores, p.score)
		if r, n := utf8.DecodeRuneInString(p.text); n == len(p.text) {
			b.runeID[r] = int32(i)
		}
		merged += utf8.RuneCountInString(p.text) - 1
	}
	slices.Sort(scores)
	scores = slices.Compact(scores)
	half := func(s string) (int32, bool) {
		if id, ok := vocab[s]; ok && pieces[id].kind == pieceNormal {
			return id, true
		}
		r, n := utf8.DecodeRuneInString(s)
		if n != len(s) {
			return 0, false
		}
		id, ok := b.runeID[r]
		if !ok { // a rune that is part of pieces but none itself
			id = int32(len(pieces) + len(b.runeID))
			b.runeID[r] = id
		}
		return id, true
	}
	b.merges = newPairTable(merged)
	for i, p := range pieces {
		if p.kind != pieceNormal {
			continue
		}
		at, _ := slices.BinarySearch(scores, p.score)
		rank := uint32(len(scores) - at)
		for cut := range p.text {
			if cut == 0 {
				continue
			}
			l, ok1 := half(p.text[:cut])
			r, ok2 := half(p.text[cut:])
			if ok1 && ok2 {
				b.merges.put(l, r, merge{rank, int32(i)})
			}
		}
		if strings.Contains(strings.TrimLeft(p.text, mark), mark) {
			b.crosses = true
		}
	}
	for _, p := range pieces {
		if p.kind == pieceUserDefined && strings.Contains(p.text, mark) {
			b.crosses = true
		}
	}
	if _, ok := b.runeID['▁']; ok && !b.crosses {
		b.boundary = mark
	}
	return b
}

// spSymbols is how a bpe of SentencePiece cuts text into symbols: user-defined pieces whole, never joined; runes that are
// no pieces whole too, and spelt by bytes or joined to one unknown piece when all is done.
type spSymbols struct {
	user  *prefixTrie // nil without such
	known int32       // ids from here on are runes that are no pieces
}

func (q *spSymbols) symbols(b *bpe, text string, s *scratch) {
	for at := 0; at < len(text); {
		if q.user != nil {
			if id, n := q.user.longest(text[at:]); n > 0 {
				s.symbols = append(s.symbols, symbol{id: id, n: int32(n)})
				at += n
				continue
			}
		}
		r, n := utf8.DecodeRuneInString(text[at:])
		id, ok := b.runeID[r]
		if !ok {
			id = -1
		}
		s.symbols = append(s.symbols, symbol{id: id, n: int32(n)})
		at += n
	}
}

// finish appends the tokens of the joined symbols.
func (q *spSymbols) finish(b *bpe, text string, s *scratch, out []token) []token {
	at := int32(0)
	unknown := false // the token before
	for i := int32(0); i < int32(len(s.symbols)); i = s.symbols[i].next {
		x := s.symbols[i]
		known := x.id >= 0 && x.id < q.known
		switch {
		case known:
			out = append(out, token{x.id, x.n})
		case b.fallback != nil:
			for k := range x.n {
				n := -x.n
				if k == x.n-1 {
					n = x.n
				}
				out = append(out, token{b.fallback[text[at+k]], n})
			}
		case unknown:
			out[len(out)-1].n += x.n
		default:
			out = append(out, token{b.unk, x.n})
		}
		unknown = !known && b.fallback == nil
		at += x.n
	}
	return out
}
