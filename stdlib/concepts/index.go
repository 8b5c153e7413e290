package concepts

import (
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
	bySize []uint32       // names of size n are [bySize[n], bySize[n+1])
	ids    []int32        // rank to the number that the name was given with
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
	fill := slices.Clone(x.starts)
	for rank, id := range x.ids {
		grams = indexed(grams[:0], name(int(id)))
		for _, g := range unique(grams) {
			k := x.lists[g]
			x.ranks[fill[k]] = uint32(rank)
			fill[k]++
		}
	}
	return x
}

// unique sorts grams and drops repetitions, in place.
func unique(grams []gram) []gram {
	slices.Sort(grams)
	return slices.Compact(grams)
}

// finder is the scratch memory of one worker's queries.
type finder struct {
	grams  []gram
	posts  []post
	cands  []cand
	other  []cand
	found  []cand
	within []post
}

// post is the list of one trigram of the query; repeated trigrams have one each.
type post struct {
	ranks []uint32
}

type cand struct {
	rank uint32
	num  int32
}

// find returns the numbers of the names that are similar enough to the query.
func (f *finder) find(x *index, query string, m Measure, alpha float64) []int32 {
	f.grams = indexed(f.grams[:0], query)
	slices.Sort(f.grams)
	q := len(f.grams)
	lo, hi := m.sizes(q, alpha, len(x.bySize)-2)
	if lo > hi {
		return nil
	}
	first, behind := x.bySize[lo], x.bySize[hi+1]
	f.posts = f.posts[:0]
	for _, g := range f.grams {
		var p post
		if k, ok := x.lists[g]; ok {
			p.ranks = between(x.ranks[x.starts[k]:x.starts[k+1]], first, behind)
		}
		f.posts = append(f.posts, p)
	}
	f.count(q, m.least(q, lo, alpha))
	return f.ordered(x, q, m, alpha)
}

// between is the part of a list whose ranks are in [lo, hi).
func between(ranks []uint32, lo, hi uint32) []uint32 {
	i, _ := slices.BinarySearch(ranks, lo)
	j, _ := slices.BinarySearch(ranks[i:], hi)
	return ranks[i : i+j]
}

// count gathers in f.cands, by rank, the names that at least `least` lists hold,
// and how many do. A name that does is in one of the rarest q-least+1; the others
// are only asked about names found there.
func (f *finder) count(q, least int) {
	sorted := append(f.within[:0], f.posts...)
	sort.SliceStable(sorted, func(a, b int) bool { return len(sorted[a].ranks) < len(sorted[b].ranks) })
	f.within = sorted
	f.cands = f.cands[:0]
	for i, p := range sorted {
		if i < q-least+1 {
			f.join(p.ranks)
			continue
		}
		kept := f.cands[:0]
		list := p.ranks
		for _, c := range f.cands {
			at, ok := slices.BinarySearch(list, c.rank)
			list = list[at:]
			if ok {
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
	for len(in) > 0 || len(ranks) > 0 {
		switch {
		case len(in) == 0 || len(ranks) > 0 && ranks[0] < in[0].rank:
			out = append(out, cand{ranks[0], 1})
			ranks = ranks[1:]
		case len(ranks) == 0 || in[0].rank < ranks[0]:
			out = append(out, in[0])
			in = in[1:]
		default:
			out = append(out, cand{in[0].rank, in[0].num + 1})
			in, ranks = in[1:], ranks[1:]
		}
	}
	f.other, f.cands = f.cands, out
}

// ordered drops the candidates that their size asks more of, and puts the rest
// into simstring's order.
func (f *finder) ordered(x *index, q int, m Measure, alpha float64) []int32 {
	var out []int32
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
			f.byStep(x.bySize[size], x.bySize[size+1], q, least)
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
func (f *finder) byStep(lo, hi uint32, q, least int) {
	f.within = f.within[:0]
	for _, p := range f.posts {
		f.within = append(f.within, post{between(p.ranks, lo, hi)})
	}
	sortPosts(f.within)
	for k := range f.found {
		c := &f.found[k]
		have := 0
		for i, p := range f.within {
			if _, ok := slices.BinarySearch(p.ranks, c.rank); ok {
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
