package concepts

import (
	mathbits "math/bits"
	"slices"
	"sort"
)

// index finds the names that share enough trigrams with a query. It answers as
// simstring does (Okazaki and Tsujii, 2010), candidates in the same order, with
// one list of names per trigram:
//
//   - Repeated trigrams of a name count towards its size, and are found by no
//     query; repeated trigrams of a query count towards its size, and each finds
//     the names that have the trigram once more. That is what simstring's reader
//     does with what its writer wrote, so that a name can be found whose set
//     similarity lies below the threshold.
//   - Names are found by ascending size, and within one size in the order in which
//     the count of common trigrams became sufficient, rarest trigrams first.
//
// Names are numbered by size, then by order of insertion, so that the names of
// one size are a range of numbers, and of every list.
type index struct {
	lists  map[gram]int32 // trigram to its list
	starts []uint32       // list k is ranks[starts[k]:starts[k+1]]
	ranks  []uint32       // ascending in every list
	parts  []byte         // of list k: bit r%8 of parts[k*manyBits+maskBit(n)] is set when it holds the name of rank r and size n
	masks  []uint64       // of a list: bit maskBit(n) is set when it holds a name of size n
	bySize []uint32       // names of size n are [bySize[n], bySize[n+1])
	ids    []int32        // rank to the number that the name was given with
	ascii  []int32        // of lists, those of printable ASCII, by place; -1: none
}

// The printable characters of ASCII, whose trigrams have a table of their own: most look-ups are theirs.
const (
	firstASCII = ' '
	manyASCII  = 128 - firstASCII
)

// place is where a trigram stands in the table of ASCII, -1 where it does not.
func (g gram) place() int {
	const most = 1<<runeBits - 1
	a, b, c := uint(g>>(2*runeBits))-firstASCII, uint(g>>runeBits&most)-firstASCII, uint(g&most)-firstASCII
	if max(a, b, c) >= manyASCII {
		return -1
	}
	return int((a*manyASCII+b)*manyASCII + c)
}

// tabulate fills the table from lists, and the masks from their parts.
func (x *index) tabulate() *index {
	x.masks = make([]uint64, len(x.parts)/manyBits)
	for i, p := range x.parts {
		if p != 0 {
			x.masks[i/manyBits] |= 1 << (i % manyBits)
		}
	}
	x.ascii = slices.Repeat([]int32{-1}, manyASCII*manyASCII*manyASCII)
	for g, k := range x.lists {
		if at := g.place(); at >= 0 {
			x.ascii[at] = k
		}
	}
	return x
}

// list is the number of a trigram's list, -1 where no name has it.
func (x *index) list(g gram) int32 {
	if at := g.place(); at >= 0 {
		return x.ascii[at]
	}
	if k, ok := x.lists[g]; ok {
		return k
	}
	return -1
}

// newIndex makes the index of n names.
func newIndex(n int, name func(i int) string) *index {
	x := &index{lists: map[gram]int32{}, ids: make([]int32, n)}
	sizes := make([]uint32, n)
	var grams []gram
	var counts []uint32
	for i := range n {
		grams = indexed(grams[:0], name(i))
		sizes[i] = uint32(len(grams))
		for int(sizes[i])+2 > len(x.bySize) {
			x.bySize = append(x.bySize, 0)
		}
		x.bySize[sizes[i]+1]++
		for _, g := range unique(grams) {
			k, ok := x.lists[g]
			if !ok {
				k = int32(len(counts))
				x.lists[g] = k
				counts = append(counts, 0)
			}
			counts[k]++
		}
	}
	for s := 1; s < len(x.bySize); s++ {
		x.bySize[s] += x.bySize[s-1]
	}
	next := slices.Clone(x.bySize)
	for i, s := range sizes {
		x.ids[next[s]] = int32(i)
		next[s]++
	}
	x.starts = make([]uint32, len(counts)+1)
	for k, c := range counts {
		x.starts[k+1] = x.starts[k] + c
	}
	x.ranks = make([]uint32, x.starts[len(counts)])
	x.parts = make([]byte, manyBits*len(counts))
	fill := slices.Clone(x.starts)
	for rank, id := range x.ids {
		grams = indexed(grams[:0], name(int(id)))
		for _, g := range unique(grams) {
			k := x.lists[g]
			x.ranks[fill[k]] = uint32(rank)
			x.parts[int(k)*manyBits+maskBit(int(sizes[id]))] |= 1 << (rank % 8)
			fill[k]++
		}
	}
	return x.tabulate()
}

// maskBit is the bit of a size: all large ones have the last.
func maskBit(size int) int { return min(size, manyBits-1) }

const manyBits = 64

// unique sorts grams and drops repetitions, in place.
func unique(grams []gram) []gram {
	slices.Sort(grams)
	return slices.Compact(grams)
}

// finder is the scratch memory of one worker's queries.
type finder struct {
	asked   asked
	demands []*demand // of queries of so many trigrams; nil where none was asked
	grams   []gram
	lists   []int32 // of those trigrams that have one
	posts   []post
	byLen   []post
	cands   []cand
	other   []cand
	found   []cand
	within  []post
}

// post is a trigram's list, or a part of it: ranks[lo:hi] of the index. Repeated
// trigrams of the query have one each.
type post struct {
	lo, hi uint32
	mask   uint64
}

func (p post) len() uint32 { return p.hi - p.lo }

type cand struct {
	rank uint32
	num  int32
}

// find returns the numbers of the names that are similar enough to the query. It
// looks only at those sizes of which enough lists hold any name, all large ones
// together.
func (f *finder) find(x *index, query string, m Measure, alpha float64) []int32 {
	f.grams = indexed(f.grams[:0], query)
	q := len(f.grams)
	want := f.demand(x, q, m, alpha)
	var have tally
	f.lists = f.lists[:0]
	for _, g := range f.grams {
		if k := x.list(g); k >= 0 {
			f.lists = append(f.lists, k)
			have.add(x.masks[k])
		}
	}
	bits := want.met(&have)
	if bits == 0 {
		return nil
	}
	var out []int32
	for gathered := false; bits != 0; bits &= bits - 1 {
		bit := mathbits.TrailingZeros64(bits)
		lo, hi := want.sizes(bit)
		least := m.least(q, lo, alpha)
		if q <= mostTallied && !f.inPart(x, bit, least) {
			continue
		}
		if !gathered {
			f.gather(x)
			gathered = true
		}
		f.count(x, bit, least, x.bySize[lo], x.bySize[hi+1])
		out = f.ordered(out, x, q, m, alpha)
	}
	return out
}

// inPart reports whether so many lists hold names that have a bit and are of one
// part. The names of a size are dealt out to eight parts: a trigram that some of a
// hundred names have, a dozen are often without.
func (f *finder) inPart(x *index, bit, least int) bool {
	counts := uint64(0) // eight, of a byte each
	for _, k := range f.lists {
		counts += spread[x.parts[int(k)*manyBits+bit]]
	}
	for ; counts != 0; counts >>= 8 {
		if int(counts&0xff) >= least {
			return true
		}
	}
	return false
}

// spread has a byte of 0 or 1 for every bit of a number.
var spread = func() (s [256]uint64) {
	for n := range s {
		for i := range 8 {
			s[n] |= uint64(n>>i&1) << (8 * i)
		}
	}
	return s
}()

// gather looks the lists of f.grams up: f.posts are in the order of the trigrams,
// f.byLen those that hold anything, by length.
func (f *finder) gather(x *index) {
	slices.Sort(f.grams)
	f.posts, f.byLen = f.posts[:0], f.byLen[:0]
	for i, g := range f.grams {
		var p post
		if i > 0 && g == f.grams[i-1] {
			p = f.posts[i-1]
		} else if k := x.list(g); k >= 0 {
			p = post{x.starts[k], x.starts[k+1], x.masks[k]}
		}
		f.posts = append(f.posts, p)
		if p.mask != 0 {
			f.byLen = append(f.byLen, p)
		}
	}
	insertionSort(f.byLen)
}

func (x *index) between(p post, first, behind uint32) post {
	lo := p.lo + x.below(p, first)
	return post{lo, lo + x.below(post{lo: lo, hi: p.hi}, behind), p.mask}
}

// below counts the ranks of a list that are less than rank.
func (x *index) below(p post, rank uint32) uint32 {
	lo, hi := p.lo, p.hi
	for lo < hi {
		if mid := lo + (hi-lo)/2; x.ranks[mid] < rank {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - p.lo
}

// holds reports whether a list holds a rank.
func (x *index) holds(p post, rank uint32) bool {
	at := p.lo + x.below(p, rank)
	return at < p.hi && x.ranks[at] == rank
}

// count gathers in f.cands, by rank, the names in [first, behind), whose sizes have
// the same bit, that at least so many lists hold, and how many do. Of the q lists
// with that bit a name is in one of any q-least+1: it is sought in the shortest, and
// only those found there are counted.
func (f *finder) count(x *index, bit, least int, first, behind uint32) {
	f.within, f.cands = f.within[:0], f.cands[:0]
	for _, p := range f.byLen {
		if p.mask>>bit&1 == 1 {
			f.within = append(f.within, p)
		}
	}
	q := len(f.within)
	for i, p := range f.within {
		if i < q-least+1 {
			p = x.between(p, first, behind)
			f.join(x.ranks[p.lo:p.hi])
			continue
		}
		kept := f.cands[:0]
		for _, c := range f.cands {
			p.lo += x.below(p, c.rank)
			if p.lo < p.hi && x.ranks[p.lo] == c.rank {
				c.num++
			}
			if int(c.num)+q-i-1 >= least {
				kept = append(kept, c)
			}
		}
		if f.cands = kept; len(kept) == 0 {
			return
		}
	}
}

// join merges a list into the candidates.
func (f *finder) join(ranks []uint32) {
	if len(ranks) == 0 {
		return
	}
	out, in := f.other[:0], f.cands
	i, j := 0, 0
	for i < len(in) && j < len(ranks) {
		switch {
		case ranks[j] < in[i].rank:
			out = append(out, cand{ranks[j], 1})
			j++
		case in[i].rank < ranks[j]:
			out = append(out, in[i])
			i++
		default:
			out = append(out, cand{in[i].rank, in[i].num + 1})
			i, j = i+1, j+1
		}
	}
	out = append(out, in[i:]...)
	for ; j < len(ranks); j++ {
		out = append(out, cand{ranks[j], 1})
	}
	f.other, f.cands = f.cands, out
}

// ordered appends the candidates but for those that their size asks more of, in
// simstring's order.
func (f *finder) ordered(out []int32, x *index, q int, m Measure, alpha float64) []int32 {
	for i := 0; i < len(f.cands); {
		size := sort.Search(len(x.bySize), func(s int) bool { return x.bySize[s] > f.cands[i].rank }) - 1
		least := m.least(q, size, alpha)
		f.found = f.found[:0]
		for ; i < len(f.cands) && f.cands[i].rank < x.bySize[size+1]; i++ {
			if int(f.cands[i].num) >= least {
				f.found = append(f.found, f.cands[i])
			}
		}
		if len(f.found) > 1 {
			f.byStep(x, size, q, least)
		}
		for _, c := range f.found {
			out = append(out, x.ids[c.rank])
		}
	}
	return out
}

// byStep sorts the names of one size by the list at which simstring has counted
// enough of them. It takes the lists by ascending length, as std::sort leaves
// them, and looks whether a count suffices only from list q-least+1 on.
func (f *finder) byStep(x *index, size, q, least int) {
	f.within = f.within[:0]
	for _, p := range f.posts {
		f.within = append(f.within, x.between(p, x.bySize[size], x.bySize[size+1]))
	}
	sortPosts(f.within)
	for k := range f.found {
		c := &f.found[k]
		have := 0
		for i, p := range f.within {
			if x.holds(p, c.rank) {
				have++
			}
			if have == least {
				c.num = int32(i)
				break
			}
		}
		if first := q - least + 1; first < q {
			c.num = max(c.num, int32(first))
		} else {
			c.num = 0
		}
	}
	slices.SortStableFunc(f.found, func(a, b cand) int { return int(a.num) - int(b.num) })
}
