package tokenizer

import (
	"slices"
	"strings"
)

// prefixTrie finds which of a set of strings another begins with: a double array, in which the child of cell s by byte c
// is cell base[s]+c if that cell's parent is s (Aoe, 1989).
type prefixTrie struct {
	cells []trieCell
}

type trieCell struct {
	base, parent int32 // parent -1: free
	value        int32 // of the string that ends here, -1 for none
}

// newPrefixTrie makes the trie of strings to their values.
func newPrefixTrie(values map[string]int32) *prefixTrie {
	b := &trieBuilder{values: values}
	b.grow(1024)
	b.take(0, 0)
	b.fill(keysOf(values), 0, 0)
	return &prefixTrie{slices.Clip(b.cells)}
}

// trieBuilder keeps the free cells in a ring, in which cell 0, the root, is the entry.
type trieBuilder struct {
	cells      []trieCell
	next, prev []int32
	values     map[string]int32
}

func (b *trieBuilder) grow(n int) {
	for at := int32(len(b.cells)); int(at) < n; at++ {
		b.cells = append(b.cells, trieCell{parent: -1, value: -1})
		b.next, b.prev = append(b.next, 0), append(b.prev, 0)
		if at > 0 {
			last := b.prev[0]
			b.next[last], b.prev[at], b.prev[0] = at, last, at
		}
	}
}

// take gives cell at to a parent.
func (b *trieBuilder) take(at, parent int32) {
	b.cells[at].parent = parent
	if at > 0 {
		b.next[b.prev[at]], b.prev[b.next[at]] = b.next[at], b.prev[at]
	}
}

// fill puts the children of cell at, whose strings are keys, ascending and all alike in their first depth bytes.
func (b *trieBuilder) fill(keys []string, at int32, depth int) {
	for { // down a chain of only children, whose length a file may choose, without recursion
		if len(keys) > 0 && len(keys[0]) == depth {
			b.cells[at].value = b.values[keys[0]]
			keys = keys[1:]
		}
		if len(keys) == 0 {
			b.cells[at].base = -256 // no child is there
			return
		}
		labels, groups := branches(keys, depth)
		base := b.room(labels)
		b.cells[at].base = base
		for _, c := range labels {
			b.take(base+int32(c), at)
		}
		depth++
		for i, c := range labels[1:] {
			b.fill(groups[i+1], base+int32(c), depth)
		}
		keys, at = groups[0], base+int32(labels[0])
	}
}

// branches groups keys by their byte at depth.
func branches(keys []string, depth int) (labels []byte, groups [][]string) {
	for len(keys) > 0 {
		c := keys[0][depth]
		n, _ := slices.BinarySearchFunc(keys, int(c)+1, func(s string, want int) int { return int(s[depth]) - want })
		labels, groups = append(labels, c), append(groups, keys[:n])
		keys = keys[n:]
	}
	return labels, groups
}

// room finds a base at which the cells of all labels are free: one of the lowest if a few tries find it, else behind all.
func (b *trieBuilder) room(labels []byte) int32 {
	const tries = 32
	first, last := int32(labels[0]), int32(labels[len(labels)-1])
	at := b.next[0]
	for range tries {
		for at != 0 && at <= first {
			at = b.next[at]
		}
		if at == 0 {
			break
		}
		base := at - first
		b.grow(int(base+last) + 1)
		if !slices.ContainsFunc(labels, func(c byte) bool { return b.cells[base+int32(c)].parent >= 0 }) {
			return base
		}
		at = b.next[at]
	}
	base := int32(len(b.cells))
	b.grow(int(base+last) + 1)
	return base
}

// child is the cell behind s by byte c, -1 where no string goes on so.
func (t *prefixTrie) child(s int32, c byte) int32 {
	to := t.cells[s].base + int32(c)
	if to <= 0 || int(to) >= len(t.cells) || t.cells[to].parent != s {
		return -1
	}
	return to
}

// longest is the value and length of the longest string that s begins with; -1 without one.
func (t *prefixTrie) longest(s string) (value int32, n int) {
	value = -1
	at := int32(0)
	for i := range len(s) {
		if at = t.child(at, s[i]); at < 0 {
			break
		}
		if v := t.cells[at].value; v >= 0 {
			value, n = v, i+1
		}
	}
	return value, n
}

// suffixes is the vocabulary of the tokens that begin with prefix, without it.
func suffixes(vocab map[string]int32, prefix string) map[string]int32 {
	out := map[string]int32{}
	for s, id := range vocab {
		if rest, ok := strings.CutPrefix(s, prefix); ok {
			out[rest] = id
		}
	}
	return out
}
