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

// newPrefixTrie makes the trie of keys, which it sorts, to their values. Of equal keys the last value given counts.
func newPrefixTrie(values map[string]int32) *prefixTrie {
	keys := keysOf(values)
	t := &prefixTrie{}
	t.grow(1024)
	t.cells[0].parent = 0
	t.fill(keys, values, 0, 0, new(int32))
	return t
}

func (t *prefixTrie) grow(n int) {
	for len(t.cells) < n {
		t.cells = append(t.cells, trieCell{parent: -1, value: -1})
	}
}

// fill puts the children of cell at, whose strings are keys, all alike in their first depth bytes. free is a cell below
// which few are free.
func (t *prefixTrie) fill(keys []string, values map[string]int32, at int32, depth int, free *int32) {
	if len(keys) > 0 && len(keys[0]) == depth {
		t.cells[at].value = values[keys[0]]
		keys = keys[1:]
	}
	if len(keys) == 0 {
		t.cells[at].base = -256 // no child is there
		return
	}
	var labels []byte
	var groups [][]string
	for len(keys) > 0 {
		c := keys[0][depth]
		n, _ := slices.BinarySearchFunc(keys, int(c)+1, func(s string, want int) int { return int(s[depth]) - want })
		labels, groups = append(labels, c), append(groups, keys[:n])
		keys = keys[n:]
	}
	base := t.room(labels, free)
	t.cells[at].base = base
	for _, c := range labels {
		t.cells[base+int32(c)].parent = at
	}
	for i, c := range labels {
		t.fill(groups[i], values, base+int32(c), depth+1, free)
	}
}

// room finds a base at which the cells of all labels are free.
func (t *prefixTrie) room(labels []byte, free *int32) int32 {
	for int(*free) < len(t.cells) && t.cells[*free].parent >= 0 {
		*free++
	}
	tried := 0
	for at := max(*free, int32(labels[0])+1); ; at++ {
		base := at - int32(labels[0])
		t.grow(int(base) + 512)
		if t.cells[at].parent >= 0 {
			continue
		}
		if tried++; tried > 64 { // this far it is nearly full: do not look here again
			*free = max(*free, at-4096)
			tried = 0
		}
		if !slices.ContainsFunc(labels, func(c byte) bool { return t.cells[base+int32(c)].parent >= 0 }) {
			return base
		}
	}
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
