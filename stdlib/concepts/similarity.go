package concepts

import (
	"fmt"
	"math"
	"strings"

	"lightbox/stdlib/text"
)

// Measure is how alike two strings are, by their sets of character trigrams.
type Measure string

// The measures of QuickUMLS. Overlap is there what simstring calls by that
// name while candidates are sought, but the bare number of common trigrams when
// they are ranked.
const (
	Jaccard Measure = "jaccard"
	Dice    Measure = "dice"
	Cosine  Measure = "cosine"
	Overlap Measure = "overlap"
)

var measures = []string{string(Jaccard), string(Dice), string(Cosine), string(Overlap)}

func (m Measure) check() error {
	for _, name := range measures {
		if string(m) == name {
			return nil
		}
	}
	if n, ok := text.Nearest(string(m), measures); ok {
		return fmt.Errorf("no similarity %q; did you mean %q?", m, n)
	}
	return fmt.Errorf("no similarity %q (there are: %s)", m, strings.Join(measures, ", "))
}

// sizes is the range of the numbers of trigrams that a name may have to reach
// alpha with a query of q trigrams, as simstring computes it. Its lower bound for
// Dice is a slip that always gives 1; it only costs time.
func (m Measure) sizes(q int, alpha float64, largest int) (lo, hi int) {
	n := float64(q)
	lo, hi = 1, largest
	switch m {
	case Jaccard:
		lo, hi = int(math.Ceil(alpha*n)), int(math.Floor(n/alpha))
	case Dice:
		hi = int(math.Floor((2 - alpha) * n / alpha))
	case Cosine:
		lo, hi = int(math.Ceil(alpha*alpha*n)), int(math.Floor(n/(alpha*alpha)))
	}
	return max(lo, 1), min(hi, largest)
}

// least is the number of trigrams that a query of q and a name of r must share.
func (m Measure) least(q, r int, alpha float64) int {
	switch m {
	case Dice:
		return int(math.Ceil(0.5 * alpha * float64(q+r)))
	case Cosine:
		return int(math.Ceil(alpha * math.Sqrt(float64(q)*float64(r))))
	case Overlap:
		return int(math.Ceil(alpha * float64(min(q, r))))
	}
	return int(math.Ceil(alpha * float64(q+r) / (1 + alpha)))
}

// of is the similarity of two sets of sizes x and y with so many in common.
func (m Measure) of(x, y, common int) float64 {
	switch m {
	case Dice:
		return float64(2*common) / float64(x+y)
	case Cosine:
		return float64(common) / math.Sqrt(float64(x)*float64(y))
	case Overlap:
		return float64(common)
	}
	return float64(common) / float64(x+y-common)
}

// gram is three characters in one number, in the order of their code points.
type gram uint64

const runeBits = 21

func pack(a, b, c rune) gram {
	return gram(a)<<(2*runeBits) | gram(b)<<runeBits | gram(c)
}

// pad is what simstring appends to strings of fewer than three characters.
const pad = 1

// indexed appends the trigrams of s as simstring counts them: all of them, with
// repetitions.
func indexed(dst []gram, s string) []gram {
	var w [3]rune
	n := 0
	for _, r := range s {
		if n < 3 {
			w[n] = r
		} else {
			w[0], w[1], w[2] = w[1], w[2], r
		}
		if n++; n >= 3 {
			dst = append(dst, pack(w[0], w[1], w[2]))
		}
	}
	if n < 3 {
		for ; n < 3; n++ {
			w[n] = pad
		}
		dst = append(dst, pack(w[0], w[1], w[2]))
	}
	return dst
}

const none = 1<<runeBits - 1 // no character

// compared appends the n-grams of s that QuickUMLS compares: its trigrams, or the
// whole of s when it is shorter. Sorted and without repetitions they are its set.
func compared(dst []gram, s string) []gram {
	var w [3]rune
	n := 0
	for _, r := range s {
		if n == 3 {
			return indexed(dst, s)
		}
		w[n] = r
		n++
	}
	switch n {
	case 0:
		return dst
	case 1:
		w[1], w[2] = none, none
	case 2:
		w[2] = none
	}
	return append(dst, pack(w[0], w[1], w[2]))
}

// inCommon is the size of the intersection of two sorted sets.
func inCommon(x, y []gram) int {
	n := 0
	for i, j := 0, 0; i < len(x) && j < len(y); {
		switch {
		case x[i] < y[j]:
			i++
		case x[i] > y[j]:
			j++
		default:
			n, i, j = n+1, i+1, j+1
		}
	}
	return n
}
