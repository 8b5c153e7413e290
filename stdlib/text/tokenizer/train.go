package tokenizer

import (
	"cmp"
	"container/heap"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// TrainOptions say what TrainBPE makes.
type TrainOptions struct {
	VocabSize      int      // tokens of the model: the three special ones, 256 bytes, characters and merges. The corpus may have fewer
	Added          []string // special tokens behind the vocabulary, in this order; default "<image>", "<pad>"
	MinFrequency   int      // a merge must occur this often; default 2
	MinCharacter   int      // a character that is seen less often is left to the byte tokens; default 2
	MaxTokenLength int      // in characters; default 16
	ModelMaxLength int      // for tokenizer_config.json; default 2048
	// ByteLevel learns over bytes as GPT-2 does (Radford et al., 2019) instead: the vocabulary is the 256 bytes and the
	// merges, and all special tokens are Added.
	ByteLevel bool
	// Roles says which special token is what, besides <s>, </s> and <unk>, which are known: {"eos_token", "<|endoftext|>"}.
	Roles [][2]string
}

// roles is Roles as it is written; own are the special tokens besides the added ones.
func (o TrainOptions) roles(own ...string) (object, error) {
	out := object{}
	for _, r := range o.Roles {
		if !slices.Contains(o.Added, r[1]) && !slices.Contains(own, r[1]) {
			return nil, fmt.Errorf("train a tokenizer: %s is %q, which is no added token", r[0], r[1])
		}
		out = append(out, field{r[0], r[1]})
	}
	return out, nil
}

func (o TrainOptions) withDefaults() TrainOptions {
	o.MinFrequency = cmp.Or(o.MinFrequency, 2)
	o.MinCharacter = cmp.Or(o.MinCharacter, 2)
	o.MaxTokenLength = cmp.Or(o.MaxTokenLength, 16)
	o.ModelMaxLength = cmp.Or(o.ModelMaxLength, 2048)
	if o.Added == nil {
		o.Added = []string{"<image>", "<pad>"}
	}
	return o
}

// basic are the tokens before the bytes, in Llama's order.
var basic = []string{"<unk>", "<s>", "</s>"}

// TrainBPE learns a byte-fallback BPE vocabulary from texts (Sennrich et al., 2016): the most frequent
// pair of neighbours becomes a token, again and again. Words are cut before each space, around each digit and
// between letters and other characters, so that no token crosses those; spaces stand as ▁. The
// result is a tokenizer in the style of Llama and LLaVA. It depends on the multiset of texts only,
// not on their order: of equally frequent pairs the one with the lower ids is taken.
func TrainBPE(texts iter.Seq[string], o TrainOptions) (*Files, error) {
	o = o.withDefaults()
	counts := map[string]int{}
	count := countWords
	if o.ByteLevel {
		count = countByteWords
	}
	for text := range texts {
		count(text, counts)
	}
	if len(counts) == 0 {
		return nil, fmt.Errorf("train a tokenizer: there is no text")
	}
	t := &trainer{options: o, ids: map[string]int32{}}
	if o.ByteLevel {
		t.byteAlphabet()
	} else {
		for _, s := range basic {
			t.token(s)
		}
		for b := range 256 {
			t.token(fmt.Sprintf("<0x%02X>", b))
		}
		t.alphabet(counts)
	}
	if len(t.vocab) > o.VocabSize {
		return nil, fmt.Errorf("train a tokenizer: VocabSize %d is too small: special tokens, bytes and %d characters make %d already",
			o.VocabSize, max(0, len(t.vocab)-256-len(basic)), len(t.vocab))
	}
	for _, s := range o.Added {
		if _, ok := t.ids[s]; ok || s == "" {
			return nil, fmt.Errorf("train a tokenizer: added token %q is empty or in the vocabulary already", s)
		}
	}
	t.load(counts)
	t.run()
	if o.ByteLevel {
		return t.byteLevelFiles()
	}
	return t.files()
}

// countWords counts the pieces of a text that merges may not leave.
func countWords(text string, counts map[string]int) {
	if text == "" {
		return
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = mark + strings.ReplaceAll(text, " ", mark)
	lo, before := 0, rune(-1)
	for i, r := range text {
		if i > 0 && cutBetween(before, r) {
			counts[text[lo:i]]++
			lo = i
		}
		before = r
	}
	counts[text[lo:]]++
}

// cutBetween says whether a word ends between two characters.
func cutBetween(a, b rune) bool {
	space := []rune(mark)[0]
	switch {
	case b == space:
		return a != space
	case a == space:
		return unicode.IsNumber(b)
	case unicode.IsNumber(a), unicode.IsNumber(b):
		return true
	}
	return isLetterOrMark(a) != isLetterOrMark(b)
}

func isLetterOrMark(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) }

type wordPair struct{ l, r int32 }

// trainer holds the words as token ids and, for each pair of neighbours, how often and where it occurs.
type trainer struct {
	options TrainOptions
	vocab   []string
	ids     map[string]int32
	merges  [][2]string
	words   []trainWord
	pairs   map[wordPair]*pairCount
	done    map[wordPair]bool // merged or too long
	queue   pairQueue
}

type trainWord struct {
	ids   []int32
	count int
}

type pairCount struct {
	pair  wordPair
	count int
	words map[int32]struct{} // where it may occur
	at    int                // in the queue
}

func (t *trainer) token(s string) int32 {
	id := int32(len(t.vocab))
	t.vocab = append(t.vocab, s)
	t.ids[s] = id
	return id
}

// alphabet makes a token of each character that is frequent and shows; the rest is left to byte tokens.
func (t *trainer) alphabet(counts map[string]int) {
	seen := map[rune]int{}
	for w, n := range counts {
		for _, r := range w {
			seen[r] += n
		}
	}
	for _, r := range sortedRunes(seen) {
		if r == []rune(mark)[0] || seen[r] >= t.options.MinCharacter && unicode.IsGraphic(r) && r != utf8.RuneError {
			t.token(string(r))
		}
	}
}

func sortedRunes(m map[rune]int) []rune {
	out := make([]rune, 0, len(m))
	for r := range m {
		out = append(out, r)
	}
	slices.Sort(out)
	return out
}

// load cuts the words into characters and counts the pairs.
func (t *trainer) load(counts map[string]int) {
	t.pairs, t.done = map[wordPair]*pairCount{}, map[wordPair]bool{}
	for _, w := range keysOf(counts) {
		t.addWord(w, counts[w])
	}
	for _, p := range t.pairs {
		p.at = len(t.queue)
		t.queue = append(t.queue, p)
	}
	heap.Init(&t.queue)
}

// addWord adds the runs of a word's characters that have tokens.
func (t *trainer) addWord(w string, count int) {
	var ids []int32
	flush := func() {
		if len(ids) > 1 {
			at := int32(len(t.words))
			t.words = append(t.words, trainWord{ids, count})
			for i := range len(ids) - 1 {
				t.add(wordPair{ids[i], ids[i+1]}, count, at)
			}
		}
		ids = nil
	}
	for _, r := range w {
		if id, ok := t.ids[string(r)]; ok {
			ids = append(ids, id)
		} else {
			flush()
		}
	}
	flush()
}

// add counts a pair in word at, n times more or, below 0, less.
func (t *trainer) add(p wordPair, n int, at int32) {
	c := t.pairs[p]
	if c == nil {
		c = &pairCount{pair: p, words: map[int32]struct{}{}}
		t.pairs[p] = c
	}
	c.count += n
	c.words[at] = struct{}{}
}

func (t *trainer) run() {
	for len(t.vocab) < t.options.VocabSize && len(t.queue) > 0 {
		best := t.queue[0]
		if best.count < t.options.MinFrequency {
			return
		}
		heap.Pop(&t.queue)
		delete(t.pairs, best.pair)
		t.done[best.pair] = true
		l, r := t.vocab[best.pair.l], t.vocab[best.pair.r]
		joined := l + r
		if utf8.RuneCountInString(joined) > t.options.MaxTokenLength {
			continue
		}
		id, ok := t.ids[joined]
		if !ok {
			id = t.token(joined)
		}
		t.merges = append(t.merges, [2]string{l, r})
		t.join(best, id)
	}
}

// change of a pair's count that a merge brings; places are the words where it newly occurs.
type pairChange struct {
	n      int
	places []int32
}

// join puts id in place of a pair in all words and counts the neighbours anew.
func (t *trainer) join(p *pairCount, id int32) {
	changes := map[wordPair]*pairChange{}
	count := func(l, r int32, n int, at int32) {
		c := changes[wordPair{l, r}]
		if c == nil {
			c = &pairChange{}
			changes[wordPair{l, r}] = c
		}
		c.n += n
		if n > 0 {
			c.places = append(c.places, at)
		}
	}
	for at := range p.words {
		t.joinWord(&t.words[at], at, p.pair, id, count)
	}
	// In whatever order the changes are made, the queue's order is total, so they do not show.
	for pair, c := range changes {
		if t.done[pair] {
			continue
		}
		known := t.pairs[pair]
		if known == nil {
			known = &pairCount{pair: pair, words: map[int32]struct{}{}}
			t.pairs[pair] = known
			heap.Push(&t.queue, known)
		}
		known.count += c.n
		for _, at := range c.places {
			known.words[at] = struct{}{}
		}
		heap.Fix(&t.queue, known.at)
	}
}

// joinWord does it in one word and reports what pairs that breaks and makes.
func (t *trainer) joinWord(w *trainWord, at int32, p wordPair, id int32, count func(l, r int32, n int, at int32)) {
	out := w.ids[:0]
	for i := 0; i < len(w.ids); i++ {
		if i+1 == len(w.ids) || w.ids[i] != p.l || w.ids[i+1] != p.r {
			out = append(out, w.ids[i])
			continue
		}
		if n := len(out); n > 0 {
			count(out[n-1], p.l, -w.count, at)
			count(out[n-1], id, w.count, at)
		}
		if i+2 < len(w.ids) {
			count(p.r, w.ids[i+2], -w.count, at)
			count(id, w.ids[i+2], w.count, at)
		}
		out = append(out, id)
		i++
	}
	w.ids = out
}

// pairQueue has the most frequent pair on top, of equal ones that with the lower ids.
type pairQueue []*pairCount

func (q pairQueue) Len() int { return len(q) }

func (q pairQueue) Less(i, j int) bool {
	a, b := q[i], q[j]
	if a.count != b.count {
		return a.count > b.count
	}
	if a.pair.l != b.pair.l {
		return a.pair.l < b.pair.l
	}
	return a.pair.r < b.pair.r
}

func (q pairQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

// Push and Pop are for container/heap.
func (q *pairQueue) Push(x any) {
	p, _ := x.(*pairCount) // container/heap hands back what it was given
	p.at = len(*q)
	*q = append(*q, p)
}

func (q *pairQueue) Pop() any {
	old := *q
	p := old[len(old)-1]
	*q = old[:len(old)-1]
	return p
}
