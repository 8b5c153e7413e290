package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// bpe is a byte-pair encoding: symbols joined pair by pair, the pair of lowest rank first and of
// equal ones the leftmost.
type bpe struct {
	vocab          map[string]int32
	merges         pairTable
	unk            int32 // -1: a symbol that the vocabulary lacks disappears
	fuseUnk        bool
	ignoreMerges   bool // a piece that is a token stands for itself, merges or not
	prefix, suffix string
	runeID         map[rune]int32 // tokens of one rune
	fallback       *[256]int32    // <0x00> … <0xFF>, -1 where missing; nil without byte fallback
	raw            *[256]int32    // with byte-level pieces left as bytes: the token of each byte, -1 if missing
	rawVocab       map[string]int32
	crosses        bool       // some merge makes a token with ▁ behind another rune
	sp             *spSymbols // of a SentencePiece model; nil otherwise
	boundary       string     // a mark that no merge has inside: text may be cut before it ("" for none)
}

// symbol is a token under way in a linked list; n is how many bytes of the piece it covers, 0 when it
// was swallowed.
type symbol struct {
	id, prev, next, n int32
}

// scratch is what one encoding at a time needs; it holds no state that shows in results.
type scratch struct {
	pieces, more []piece
	symbols      []symbol
	heap         []uint64
	path         []pathNode
	words        map[string][]token
	kept         int // tokens in words
}

// token is an id and how many bytes of its piece it covers; where n is negative, −n bytes that the tokens behind it cover
// too.
type token struct{ id, n int32 }

const (
	longestKept = 256     // bytes of a word worth remembering, as in tokenizers
	mostKept    = 1 << 18 // tokens remembered in one scratch
)

// tokens appends the tokens of text to out.
func (b *bpe) tokens(text string, s *scratch, out []token) []token {
	for b.boundary != "" && len(text) > 0 {
		n := b.firstPart(text)
		if n == len(text) {
			break
		}
		out = b.word(text[:n], s, out)
		text = text[n:]
	}
	return b.word(text, s, out)
}

// firstPart is where text may first be cut without changing its tokens: before a mark that follows
// something else.
func (b *bpe) firstPart(text string) int {
	at := 0
	for strings.HasPrefix(text[at:], b.boundary) {
		at += len(b.boundary)
	}
	if i := strings.Index(text[at:], b.boundary); i >= 0 {
		return at + i
	}
	return len(text)
}

// word appends the tokens of one word, remembered if it was seen before.
func (b *bpe) word(text string, s *scratch, out []token) []token {
	if text == "" {
		return out
	}
	if known, ok := s.words[text]; ok {
		return append(out, known...)
	}
	from := len(out)
	if id, ok := b.wholeToken(text); ok {
		out = append(out, token{id, int32(len(text))})
	} else {
		out = b.merged(text, s, out)
	}
	s.remember(text, out[from:])
	return out
}

// remember keeps the tokens of a word.
func (s *scratch) remember(text string, tokens []token) {
	if len(text) >= longestKept {
		return
	}
	if s.kept > mostKept {
		clear(s.words)
		s.kept = 0
	}
	s.words[strings.Clone(text)] = append([]token(nil), tokens...)
	s.kept += len(tokens) + 4
}

func (b *bpe) wholeToken(text string) (int32, bool) {
	if !b.ignoreMerges {
		return 0, false
	}
	vocab := b.vocab
	if b.raw != nil {
		vocab = b.rawVocab
	}
	id, ok := vocab[text]
	return id, ok
}

// merged cuts text into symbols and joins them.
func (b *bpe) merged(text string, s *scratch, out []token) []token {
	s.symbols = s.symbols[:0]
	switch {
	case b.sp != nil:
		b.sp.symbols(b, text, s)
	case b.raw != nil:
		b.rawSymbols(text, s)
	default:
		b.runeSymbols(text, s)
	}
	for i := range s.symbols {
		s.symbols[i].prev, s.symbols[i].next = int32(i-1), int32(i+1)
	}
	if len(s.symbols) <= 24 {
		b.joinShort(s)
	} else {
		b.joinLong(s)
	}
	if b.sp != nil {
		return b.sp.finish(b, text, s, out)
	}
	for i := int32(0); i < int32(len(s.symbols)); i = s.symbols[i].next {
		out = append(out, token{s.symbols[i].id, s.symbols[i].n})
	}
	return out
}

// unknown collects symbols that the vocabulary lacks.
type unknown struct{ n int32 }

// add notes n more unknown bytes; unfused ones are flushed one by one.
func (u *unknown) add(b *bpe, s *scratch, n int) {
	if u.n > 0 && !b.fuseUnk {
		u.flush(b, s)
	}
	u.n += int32(n)
}

func (u *unknown) flush(b *bpe, s *scratch) {
	if u.n > 0 {
		s.symbols = append(s.symbols, symbol{id: b.unk, n: u.n})
		u.n = 0
	}
}

func (b *bpe) rawSymbols(text string, s *scratch) {
	var u unknown
	for i := range len(text) {
		id := b.raw[text[i]]
		if id >= 0 {
			u.flush(b, s)
			s.symbols = append(s.symbols, symbol{id: id, n: 1})
		} else if b.unk >= 0 {
			u.add(b, s, 1)
		}
	}
	u.flush(b, s)
}

func (b *bpe) runeSymbols(text string, s *scratch) {
	var u unknown
	for i, r := range text {
		n := utf8.RuneLen(r)
		id, ok := b.runeToken(text, i, r, n)
		if ok {
			u.flush(b, s)
			s.symbols = append(s.symbols, symbol{id: id, n: int32(n)})
			continue
		}
		// As in tokenizers, byte tokens do not flush the unknown symbols before them.
		if b.fallback != nil && b.addBytes(b.dressed(text, i, n), s) {
			continue
		}
		if b.unk >= 0 {
			u.add(b, s, n)
		}
	}
	u.flush(b, s)
}

func (b *bpe) runeToken(text string, i int, r rune, n int) (int32, bool) {
	if b.prefix == "" && b.suffix == "" {
		id, ok := b.runeID[r]
		return id, ok
	}
	id, ok := b.vocab[b.dressed(text, i, n)]
	return id, ok
}

// dressed is the rune at i with the prefix of inner symbols and the suffix of last ones.
func (b *bpe) dressed(text string, i, n int) string {
	s := text[i : i+n]
	if i > 0 {
		s = b.prefix + s
	}
	if i+n == len(text) {
		s += b.suffix
	}
	return s
}

// addBytes adds the byte tokens of c, all or none.
func (b *bpe) addBytes(c string, s *scratch) bool {
	for i := range len(c) {
		if b.fallback[c[i]] < 0 {
			return false
		}
	}
	for i := range len(c) {
		s.symbols = append(s.symbols, symbol{id: b.fallback[c[i]], n: 1})
	}
	return true
}

// joinShort merges by looking at every pair each time: the fastest way for a word.
func (b *bpe) joinShort(s *scratch) {
	const none = ^uint32(0)
	var found [24]merge // of each symbol with its right neighbour
	sy := s.symbols
	look := func(i int32) {
		found[i].rank = none
		if j := sy[i].next; int(j) < len(sy) {
			if m, ok := b.merges.find(sy[i].id, sy[j].id); ok {
				found[i] = m
			}
		}
	}
	for i := range sy {
		look(int32(i))
	}
	for {
		best, at := none, int32(-1)
		for i := int32(0); int(i) < len(sy); i = sy[i].next {
			if found[i].rank < best {
				best, at = found[i].rank, i
			}
		}
		if at < 0 {
			return
		}
		b.join(sy, at, found[at].id)
		look(at)
		if p := sy[at].prev; p >= 0 {
			look(p)
		}
	}
}

// join makes one symbol of the one at i and its right neighbour.
func (b *bpe) join(sy []symbol, i, id int32) {
	j := sy[i].next
	sy[i].id, sy[i].n, sy[i].next = id, sy[i].n+sy[j].n, sy[j].next
	sy[j].n = 0
	if k := sy[i].next; int(k) < len(sy) {
		sy[k].prev = i
	}
}

// joinLong merges with a heap of rank and position: time n log n for any length.
func (b *bpe) joinLong(s *scratch) {
	sy := s.symbols
	s.heap = s.heap[:0]
	push := func(i int32) {
		if j := sy[i].next; int(j) < len(sy) {
			if m, ok := b.merges.find(sy[i].id, sy[j].id); ok {
				s.heap = pushUp(s.heap, uint64(m.rank)<<32|uint64(uint32(i)))
			}
		}
	}
	for i := range sy {
		push(int32(i))
	}
	for len(s.heap) > 0 {
		var top uint64
		top, s.heap = popDown(s.heap)
		i := int32(uint32(top))
		if sy[i].n == 0 || int(sy[i].next) >= len(sy) {
			continue
		}
		m, ok := b.merges.find(sy[i].id, sy[sy[i].next].id)
		if !ok || m.rank != uint32(top>>32) {
			continue // a neighbour has changed since
		}
		b.join(sy, i, m.id)
		if p := sy[i].prev; p >= 0 {
			push(p)
		}
		push(i)
	}
}

// pushUp and popDown keep a binary heap with the least on top.
func pushUp(h []uint64, x uint64) []uint64 {
	h = append(h, x)
	i := len(h) - 1
	for i > 0 && h[(i-1)/2] > x {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = x
	return h
}

func popDown(h []uint64) (uint64, []uint64) {
	top, x := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	for i := 0; len(h) > 0; {
		c := 2*i + 1
		if c+1 < len(h) && h[c+1] < h[c] {
			c++
		}
		if c >= len(h) || h[c] >= x {
			h[i] = x
			break
		}
		h[i] = h[c]
		i = c
	}
	return top, h
}

// merge is what a pair of symbols becomes, and how early.
type merge struct {
	rank uint32
	id   int32
}

// pairTable is a hash table from pairs of ids to merges, open-addressed and at most half full.
type pairTable struct {
	keys   []uint64
	values []merge
	mask   uint64
}

const noPair = ^uint64(0)

func newPairTable(n int) pairTable {
	size := 16
	for size < 2*n+2 {
		size *= 2
	}
	t := pairTable{make([]uint64, size), make([]merge, size), uint64(size - 1)}
	for i := range t.keys {
		t.keys[i] = noPair
	}
	return t
}

func (t *pairTable) slot(l, r int32) (slot, key uint64) {
	key = uint64(uint32(l))<<32 | uint64(uint32(r))
	h := key * 0x9e3779b97f4a7c15
	slot = (h ^ h>>32) & t.mask
	for t.keys[slot] != key && t.keys[slot] != noPair {
		slot = (slot + 1) & t.mask
	}
	return slot, key
}

// put sets the merge of a pair; the last of several wins.
func (t *pairTable) put(l, r int32, m merge) {
	slot, key := t.slot(l, r)
	t.keys[slot], t.values[slot] = key, m
}

func (t *pairTable) find(l, r int32) (merge, bool) {
	slot, _ := t.slot(l, r)
	return t.values[slot], t.keys[slot] != noPair
}
