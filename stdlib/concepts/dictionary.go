package concepts

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// Dictionary is names of concepts. It is made once (Open, ReadRRF, ReadFolder)
// and safe for use by several goroutines.
//
// Names are kept as QuickUMLS's installer keeps them: a name's characters
// decomposed (NFKD), each name with the concepts it may stand for, and whether
// it is a concept's preferred name.
type Dictionary struct {
	Title string // what it is, for people: "UMLS, MRCONSO.RRF"
	// Lowercase says that names were put into lower case, so that texts are too.
	Lowercase bool
	// NormalizeUnicode says that names were brought to ASCII, so that texts are too.
	NormalizeUnicode bool
	hash             string
	names            blob    // in the order given; two that decompose to the same text both stay
	keys             []int32 // of a name: its place in entries
	starts           []int32 // entries of key k are entries[starts[k]:starts[k+1]]
	entries          []entry
	concepts         []concept
	typeSets         [][]string
	index            func() *index
	words            func() *wordIndex
}

// blob is many strings in one piece of memory.
type blob struct {
	text []byte
	ends []uint32
}

func (b *blob) add(s string) {
	b.text = append(b.text, s...)
	b.ends = append(b.ends, uint32(len(b.text)))
}

func (b *blob) at(i int) string {
	start := uint32(0)
	if i > 0 {
		start = b.ends[i-1]
	}
	return string(b.text[start:b.ends[i]])
}

func (b *blob) len() int { return len(b.ends) }

// entry is a concept that a name may stand for.
type entry struct {
	concept   int32
	preferred bool
}

type concept struct {
	cui   string
	types int32 // its place in typeSets
}

// Hash names the content: the first 12 hexadecimal digits of a SHA-256 over all
// names, concepts, types and flags.
func (d *Dictionary) Hash() string { return d.hash }

// String is the dictionary as results name it.
func (d *Dictionary) String() string { return fmt.Sprintf("%s (%s)", d.Title, d.hash) }

// Names is the number of names, Concepts that of concepts.
func (d *Dictionary) Names() int { return d.names.len() }

// Concepts is the number of concepts.
func (d *Dictionary) Concepts() int { return len(d.concepts) }

// of lists the entries of name i: by CUI, and a name that is not preferred first.
func (d *Dictionary) of(i int) []entry {
	k := d.keys[i]
	return d.entries[d.starts[k]:d.starts[k+1]]
}

// builder gathers a dictionary.
type builder struct {
	d      *Dictionary
	given  map[string]int32 // a name as given, to its number
	keyed  map[string]int32 // a name decomposed, to its key
	known  map[string]int32 // a CUI to its concept
	sets   map[string]int32 // types to their set
	pairs  map[uint64]struct{}
	perKey []keyEntry
}

type keyEntry struct {
	key int32
	entry
}

func newBuilder(title string, lowercase, ascii bool) *builder {
	return &builder{d: &Dictionary{Title: title, Lowercase: lowercase, NormalizeUnicode: ascii},
		given: map[string]int32{}, keyed: map[string]int32{}, known: map[string]int32{}, sets: map[string]int32{},
		pairs: map[uint64]struct{}{}}
}

// concept registers a CUI with its semantic types, the first time it is named.
func (b *builder) concept(cui string, types []string) int32 {
	if c, ok := b.known[cui]; ok {
		return c
	}
	types = slices.Compact(slices.Sorted(slices.Values(types)))
	key := strings.Join(types, ",")
	set, ok := b.sets[key]
	if !ok {
		set = int32(len(b.d.typeSets))
		b.sets[key] = set
		b.d.typeSets = append(b.d.typeSets, types)
	}
	c := int32(len(b.d.concepts))
	cui = strings.Clone(cui)
	b.d.concepts = append(b.d.concepts, concept{cui, set})
	b.known[cui] = c
	return c
}

// name adds a name of a concept. A name that the concept has already is passed
// over, with what it says of being preferred.
func (b *builder) name(name string, c int32, preferred bool) {
	name = strings.TrimFunc(name, isSpace)
	if b.d.Lowercase {
		name = lower(name)
	}
	if b.d.NormalizeUnicode {
		name = toASCII(name)
	}
	n, ok := b.given[name]
	if !ok {
		plain := decompose(name)
		key, known := b.keyed[plain]
		if !known {
			key = int32(len(b.keyed))
			b.keyed[strings.Clone(plain)] = key
		}
		n = int32(b.d.names.len())
		b.given[strings.Clone(name)] = n
		b.d.names.add(plain)
		b.d.keys = append(b.d.keys, key)
	}
	pair := uint64(n)<<32 | uint64(c)
	if _, ok := b.pairs[pair]; ok {
		return
	}
	b.pairs[pair] = struct{}{}
	b.perKey = append(b.perKey, keyEntry{b.d.keys[n], entry{c, preferred}})
}

// done sorts the entries and readies the indices, which are built when first asked.
func (b *builder) done() *Dictionary {
	d := b.d
	slices.SortFunc(b.perKey, func(x, y keyEntry) int {
		switch {
		case x.key != y.key:
			return int(x.key) - int(y.key)
		case x.concept != y.concept:
			return strings.Compare(d.concepts[x.concept].cui, d.concepts[y.concept].cui)
		case x.preferred == y.preferred:
			return 0
		case y.preferred:
			return -1
		}
		return 1
	})
	b.perKey = slices.Compact(b.perKey)
	d.starts = make([]int32, len(b.keyed)+1)
	d.entries = make([]entry, len(b.perKey))
	for i, e := range b.perKey {
		d.entries[i] = e.entry
		d.starts[e.key+1] = int32(i + 1)
	}
	d.ready()
	return d
}

// ready hashes the content and sets the indices up.
func (d *Dictionary) ready() {
	d.hash = d.digest()
	d.index = sync.OnceValue(func() *index { return newIndex(d.names.len(), d.names.at) })
	d.words = sync.OnceValue(func() *wordIndex { return newWordIndex(d) })
}

// lower is Python's str.lower.
func lower(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return cases.Lower(language.Und).String(s)
}

// decompose is Unicode's normal form NFKD.
func decompose(s string) string {
	if isASCII(s) {
		return s
	}
	return norm.NFKD.String(s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// digest is SHA-256 over everything that can change a match.
func (d *Dictionary) digest() string {
	h := sha256.New()
	w := bufio.NewWriterSize(h, 1<<16)
	fmt.Fprintf(w, "concepts 1 %v %v\n", d.Lowercase, d.NormalizeUnicode)
	for i := range d.names.len() {
		fmt.Fprintf(w, "%s", d.names.at(i))
		for _, e := range d.of(i) {
			c := d.concepts[e.concept]
			fmt.Fprintf(w, "\t%s %v %s", c.cui, e.preferred, strings.Join(d.typeSets[c.types], ","))
		}
		w.WriteByte('\n')
	}
	w.Flush()
	return hex.EncodeToString(h.Sum(nil)[:6])
}
