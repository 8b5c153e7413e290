package concepts

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"lightbox/runtime/step"
)

// A dictionary of millions of names is read once and kept in a file: a line of
// JSON that holds the small parts and the lengths, then the arrays, little-endian,
// in the order of (*kept).arrays.
const keptVersion = "lightbox dictionary 2"

type kept struct {
	Version          string
	Title, Hash      string
	Lowercase        bool
	NormalizeUnicode bool
	TypeSets         [][]string
	Lengths          []int

	text, parts                []byte
	ends                       []uint32
	keys, starts               []int32
	entries                    []uint32 // concept, times two, plus one when preferred
	cuis                       []uint32
	types                      []int32
	grams                      []uint64
	lists, ids                 []int32
	listStarts, ranks, bySizes []uint32
}

func (k *kept) arrays() []any {
	return []any{&k.text, &k.ends, &k.keys, &k.starts, &k.entries, &k.cuis, &k.types, &k.grams, &k.lists, &k.ids, &k.listStarts, &k.ranks, &k.bySizes, &k.parts}
}

// Save writes the dictionary with its index of trigrams to a file, whole or not at all.
func (d *Dictionary) Save(path string) error {
	x := d.index()
	k := &kept{Version: keptVersion, Title: d.Title, Hash: d.hash, Lowercase: d.Lowercase, NormalizeUnicode: d.NormalizeUnicode,
		TypeSets: d.typeSets, text: d.names.text, ends: d.names.ends, keys: d.keys, starts: d.starts,
		ids: x.ids, listStarts: x.starts, ranks: x.ranks, bySizes: x.bySize, parts: x.parts}
	for _, e := range d.entries {
		n := uint32(e.concept) << 1
		if e.preferred {
			n |= 1
		}
		k.entries = append(k.entries, n)
	}
	for _, c := range d.concepts {
		k.cuis = append(k.cuis, number(c.cui))
		k.types = append(k.types, c.types)
	}
	for _, g := range slices.Sorted(maps.Keys(x.lists)) {
		k.grams = append(k.grams, uint64(g))
		k.lists = append(k.lists, x.lists[g])
	}
	return step.WriteShared(filepath.Dir(path), path, k.write)
}

func (k *kept) write(f io.Writer) error {
	for _, a := range k.arrays() {
		k.Lengths = append(k.Lengths, length(a))
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if err := json.NewEncoder(w).Encode(k); err != nil {
		return err
	}
	for _, a := range k.arrays() {
		if err := eachPiece(a, func(piece any) error { return binary.Write(w, binary.LittleEndian, piece) }); err != nil {
			return err
		}
	}
	return w.Flush()
}

func length(array any) int {
	switch a := array.(type) {
	case *[]byte:
		return len(*a)
	case *[]int32:
		return len(*a)
	case *[]uint32:
		return len(*a)
	case *[]uint64:
		return len(*a)
	}
	panic(fmt.Sprintf("concepts: an array of type %T", array))
}

// eachPiece calls f for an array in pieces, so that their encoded form stays small.
func eachPiece(array any, f func(piece any) error) error {
	switch a := array.(type) {
	case *[]byte:
		return pieces(*a, f)
	case *[]int32:
		return pieces(*a, f)
	case *[]uint32:
		return pieces(*a, f)
	case *[]uint64:
		return pieces(*a, f)
	}
	panic(fmt.Sprintf("concepts: an array of type %T", array))
}

func pieces[T any](a []T, f func(any) error) error {
	const most = 1 << 20
	for len(a) > 0 {
		n := min(most, len(a))
		if err := f(a[:n]); err != nil {
			return err
		}
		a = a[n:]
	}
	return nil
}

func resize(array any, n int) {
	switch a := array.(type) {
	case *[]byte:
		*a = make([]byte, n)
	case *[]int32:
		*a = make([]int32, n)
	case *[]uint32:
		*a = make([]uint32, n)
	case *[]uint64:
		*a = make([]uint64, n)
	}
}

// Load reads what Save wrote. A file that ends early or holds anything else is an
// error.
func Load(path string) (*Dictionary, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(f, 1<<20)
	head, err := in.ReadBytes('\n')
	k := &kept{}
	if err == nil {
		err = json.Unmarshal(head, k)
	}
	if err != nil || k.Version != keptVersion || len(k.Lengths) != len(k.arrays()) {
		return nil, fmt.Errorf("%s is no dictionary of this version", path)
	}
	for i, a := range k.arrays() {
		if n := k.Lengths[i]; n < 0 || int64(n) > st.Size() {
			return nil, fmt.Errorf("%s: a length of %d in a file of %d bytes", path, n, st.Size())
		}
		resize(a, k.Lengths[i])
		if err := eachPiece(a, func(piece any) error { return binary.Read(in, binary.LittleEndian, piece) }); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than it should hold", path)
	}
	return k.dictionary(), nil
}

func (k *kept) dictionary() *Dictionary {
	d := &Dictionary{Title: k.Title, Lowercase: k.Lowercase, NormalizeUnicode: k.NormalizeUnicode, hash: k.Hash,
		names: blob{k.text, k.ends}, keys: k.keys, starts: k.starts, typeSets: k.TypeSets}
	for _, n := range k.entries {
		d.entries = append(d.entries, entry{int32(n >> 1), n&1 == 1})
	}
	for i, n := range k.cuis {
		d.concepts = append(d.concepts, concept{fmt.Sprintf("C%07d", n), k.types[i]})
	}
	x := &index{lists: make(map[gram]int32, len(k.grams)), starts: k.listStarts, ranks: k.ranks, bySize: k.bySizes, ids: k.ids, parts: k.parts}
	for i, g := range k.grams {
		x.lists[gram(g)] = k.lists[i]
	}
	x.tabulate()
	d.index = func() *index { return x }
	d.words = sync.OnceValue(func() *wordIndex { return newWordIndex(d) })
	return d
}
