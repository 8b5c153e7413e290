package score

import (
	"fmt"
	"strings"

	"lightbox/stdlib/frame"
	"lightbox/stdlib/text"
)

// Part is what of precision and recall a ROUGE metric reports.
type Part uint8

// The parts; F1 is what papers call ROUGE.
const (
	F1 Part = iota
	Precision
	Recall
)

// ROUGEOptions change a ROUGE metric. The zero value is rouge_score's default:
// F1, no stemmer, captions as they are.
type ROUGEOptions struct {
	Stem bool // Porter's stemmer on tokens longer than three letters (NLTK's default mode)
	Part Part
	// ImageCLEF prepares both captions as the ImageCLEFmedical evaluator does
	// (lower case, digits to "number", no ASCII punctuation), and gives 1 when
	// both are empty.
	ImageCLEF bool
}

// rouge is ROUGE-N for N = 1, 2 and ROUGE-L for N = 0.
type rouge struct {
	N    int
	Opts ROUGEOptions
}

// ROUGE1 is the overlap of words (Lin, 2004), as rouge_score 0.1.2 computes
// "rouge1": column rouge1, with the options' names behind it where they differ
// from the default (rouge1_clef, rouge1_stem, rouge1_p, rouge1_r).
func ROUGE1(opts ...ROUGEOptions) Metric { return newROUGE(1, opts) }

// ROUGE2 is the overlap of pairs of neighbouring words: "rouge2".
func ROUGE2(opts ...ROUGEOptions) Metric { return newROUGE(2, opts) }

// ROUGEL is the longest common subsequence of words: "rougeL".
func ROUGEL(opts ...ROUGEOptions) Metric { return newROUGE(0, opts) }

func newROUGE(n int, opts []ROUGEOptions) Metric {
	r := rouge{N: n}
	if len(opts) > 0 {
		r.Opts = opts[len(opts)-1]
	}
	return metrics{r}
}

func (r rouge) column() frame.Column {
	name, title := fmt.Sprintf("rouge%d", r.N), fmt.Sprintf("ROUGE-%d", r.N)
	if r.N == 0 {
		name, title = "rougel", "ROUGE-L"
	}
	how := []string{"F1"}
	switch r.Opts.Part {
	case Precision:
		name, title, how[0] = name+"_p", title+" P", "precision"
	case Recall:
		name, title, how[0] = name+"_r", title+" R", "recall"
	}
	if r.Opts.Stem {
		name += "_stem"
		how = append(how, "Porter stemmer")
	} else {
		how = append(how, "no stemmer")
	}
	if r.Opts.ImageCLEF {
		name += "_clef"
		how = append(how, "captions prepared as ImageCLEFmedical does")
	}
	return frame.Column{Name: name, Kind: frame.Number, Title: title,
		Note: "ROUGE as rouge_score 0.1.2 (" + strings.Join(how, ", ") + ")"}
}

func (rouge) needs() []string { return nil }

func (r rouge) check() error {
	if r.Opts.Part > Recall {
		return fmt.Errorf("%s: unknown part %d (want score.F1, Precision or Recall)", r.column().Name, r.Opts.Part)
	}
	return nil
}

func (r rouge) score(in *input) ([]float64, error) {
	out := make([]float64, in.rows.Len())
	var c counter
	for i := range out {
		if i%1024 == 0 && in.ctx.Err() != nil {
			return nil, in.ctx.Err()
		}
		if r.Opts.ImageCLEF && in.refs[i] == "" && in.caps[i] == "" {
			out[i] = 1
			continue
		}
		out[i] = r.pair(&c, in.tokensOf(in.refs[i], r.Opts), in.tokensOf(in.caps[i], r.Opts))
	}
	return out, nil
}

// pair scores a candidate against a reference, both as token numbers.
func (r rouge) pair(c *counter, ref, cand []int32) float64 {
	var hits, nref, ncand int
	if r.N == 0 {
		hits, nref, ncand = c.lcs(ref, cand), len(ref), len(cand)
	} else {
		nref, ncand = max(0, len(ref)-r.N+1), max(0, len(cand)-r.N+1)
		hits = c.overlap(ref, cand, r.N)
	}
	p, rec := float64(hits)/float64(max(ncand, 1)), float64(hits)/float64(max(nref, 1))
	switch r.Opts.Part {
	case Precision:
		return p
	case Recall:
		return rec
	}
	if p+rec > 0 {
		return 2 * p * rec / (p + rec)
	}
	return 0
}

// counter holds the scratch memory of pairs.
type counter struct {
	ones       []int32 // by token
	pairs      map[uint64]int32
	prev, next []int32
}

// overlap is the clipped number of common n-grams, n = 1 or 2.
func (c *counter) overlap(ref, cand []int32, n int) int {
	hits := 0
	if n == 1 {
		for _, t := range ref {
			for int(t) >= len(c.ones) {
				c.ones = append(c.ones, make([]int32, len(c.ones)+64)...)
			}
			c.ones[t]++
		}
		for _, t := range cand {
			if int(t) < len(c.ones) && c.ones[t] > 0 {
				c.ones[t]--
				hits++
			}
		}
		for _, t := range ref {
			c.ones[t] = 0
		}
		return hits
	}
	if c.pairs == nil {
		c.pairs = map[uint64]int32{}
	}
	clear(c.pairs)
	key := func(x []int32, i int) uint64 { return uint64(x[i])<<32 | uint64(x[i+1]) }
	for i := range max(0, len(ref)-1) {
		c.pairs[key(ref, i)]++
	}
	for i := range max(0, len(cand)-1) {
		if k := key(cand, i); c.pairs[k] > 0 {
			c.pairs[k]--
			hits++
		}
	}
	return hits
}

// lcs is the length of the longest common subsequence.
func (c *counter) lcs(a, b []int32) int {
	for len(c.prev) < len(b)+1 {
		c.prev, c.next = append(c.prev, 0), append(c.next, 0)
	}
	prev, next := c.prev[:len(b)+1], c.next[:len(b)+1]
	clear(prev)
	clear(next)
	for _, x := range a {
		for j, y := range b {
			if x == y {
				next[j+1] = prev[j] + 1
			} else {
				next[j+1] = max(prev[j+1], next[j])
			}
		}
		prev, next = next, prev
	}
	return int(prev[len(b)])
}

type tokenKey struct {
	text       string
	stem, clef bool
}

// tokensOf numbers the tokens of a text; each text is cut once.
func (in *input) tokensOf(s string, o ROUGEOptions) []int32 {
	k := tokenKey{s, o.Stem, o.ImageCLEF}
	if t, ok := in.tokens[k]; ok {
		return t
	}
	if o.ImageCLEF {
		s = text.Prepare(s)
	}
	t := number(rougeTokens(s, o.Stem), in.words)
	in.tokens[k] = t
	return t
}

// number replaces words by numbers, new words getting the next.
func number(tokens []string, words map[string]int32) []int32 {
	out := make([]int32, len(tokens))
	for i, w := range tokens {
		n, ok := words[w]
		if !ok {
			n = int32(len(words))
			words[w] = n
		}
		out[i] = n
	}
	return out
}

// rougeTokens cuts a text as rouge_score does: lower case, runs of [a-z0-9].
// Python's lower makes two characters that are not ASCII into ASCII letters:
// the Kelvin sign, and the dotted capital I, which gains a combining dot and so
// ends its token.
func rougeTokens(s string, stem bool) []string {
	var tokens []string
	word := make([]byte, 0, 32)
	flush := func() {
		if len(word) == 0 {
			return
		}
		w := string(word)
		word = word[:0]
		if stem && len(w) > 3 {
			w = porterStem(w)
		}
		if w != "" {
			tokens = append(tokens, w)
		}
	}
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			word = append(word, byte(r))
		case 'A' <= r && r <= 'Z':
			word = append(word, byte(r)+'a'-'A')
		case r == '\u212a':
			word = append(word, 'k')
		case r == '\u0130':
			word = append(word, 'i')
			flush()
		default:
			flush()
		}
	}
	flush()
	return tokens
}
