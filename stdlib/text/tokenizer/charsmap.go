package tokenizer

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// charsmap is SentencePiece's compiled normalisation (nmt_nfkc and the like): a double-array trie of what is
// replaced, in the layout of the Darts library, and the zero-terminated replacements that its values point to.
type charsmap struct {
	units []uint32
	to    string
}

// readCharsmap reads a compiled map: the size of the trie in bytes, the trie, the replacements.
func readCharsmap(b []byte) (*charsmap, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("%d bytes are too few for a compiled map of characters", len(b))
	}
	n := binary.LittleEndian.Uint32(b)
	if b = b[4:]; n%4 != 0 || n == 0 || uint64(n) > uint64(len(b)) {
		return nil, fmt.Errorf("the map of characters claims a trie of %d bytes; it has %d", n, len(b))
	}
	c := &charsmap{units: make([]uint32, n/4), to: string(b[n:])}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	if !utf8.ValidString(c.to) {
		return nil, fmt.Errorf("the replacements of the map of characters are not UTF-8")
	}
	return c, nil
}

// match gives the replacement of the shortest or longest entry that s begins with, and the entry's length; 0 without one.
func (c *charsmap) match(s string, longest bool) (to string, n int) {
	offset := func(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
	at := offset(c.units[0])
	value := uint32(0)
	for i := range len(s) {
		if at ^= uint32(s[i]); s[i] == 0 || at >= uint32(len(c.units)) {
			break
		}
		unit := c.units[at]
		if unit&(1<<31|0xff) != uint32(s[i]) {
			break
		}
		at ^= offset(unit)
		if unit>>8&1 == 1 {
			if at >= uint32(len(c.units)) {
				break
			}
			value, n = c.units[at]&(1<<31-1), i+1
			if !longest {
				break
			}
		}
	}
	if n == 0 || value >= uint32(len(c.to)) {
		return "", n
	}
	to = c.to[value:]
	if end := strings.IndexByte(to, 0); end >= 0 {
		to = to[:end]
	}
	return to, n
}

// precompiled applies a map as the Rust library does, which is not how SentencePiece does: a grapheme of less than six bytes
// is replaced as a whole by what its shortest entry stands for; other graphemes rune by rune.
type precompiled struct {
	m     *charsmap
	ascii [utf8.RuneSelf]bool // has an entry
}

func newPrecompiled(m *charsmap) *precompiled {
	p := &precompiled{m: m}
	for i := range p.ascii {
		_, n := m.match(string(rune(i)), false)
		p.ascii[i] = n > 0
	}
	return p
}

func readPrecompiled(n node) (normalizer, error) {
	s, err := need[string](n, "precompiled_charsmap", "a string")
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, n.errorf("precompiled_charsmap", "%w", err)
	}
	m, err := readCharsmap(raw)
	if err != nil {
		return nil, n.errorf("precompiled_charsmap", "%w", err)
	}
	return newPrecompiled(m), nil
}

func (m *precompiled) normalize(p *piece) {
	done := m.plain(p.text)
	if done == len(p.text) {
		return
	}
	changes := make([]change, 0, len(p.text)+8)
	for _, r := range p.text[:done] {
		changes = append(changes, change{r, 0})
	}
	modified := false
	rest, state := p.text[done:], -1
	for rest != "" {
		var g string
		g, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if len(g) < 6 {
			if to, n := m.m.match(g, false); n > 0 {
				modified = true
				changes = replaced(changes, g, to)
				continue
			}
		}
		for i, r := range g {
			part := g[i : i+utf8.RuneLen(r)]
			if to, n := m.m.match(part, false); n > 0 {
				modified = true
				changes = replaced(changes, part, to)
			} else {
				changes = append(changes, change{r, 0})
			}
		}
	}
	if modified {
		p.apply(changes, 0)
	}
}

// plain is how much of s, from its start, is ASCII that the map leaves alone and that is no part of a longer grapheme.
func (m *precompiled) plain(s string) int {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return max(0, i-1) // a mark may join the letter before it
		}
		if m.ascii[s[i]] {
			return i
		}
	}
	return len(s)
}

// replaced notes that old became to: the runes that are too many count as inserted, those that are missing as dropped with
// the rune before.
func replaced(changes []change, old, to string) []change {
	diff := utf8.RuneCountInString(to) - utf8.RuneCountInString(old)
	for _, r := range to {
		changes = append(changes, change{r, 0})
	}
	if diff > 0 {
		for i := len(changes) - diff; i < len(changes); i++ {
			changes[i].n = 1
		}
	}
	if diff < 0 && len(changes) > 0 {
		changes[len(changes)-1].n += diff
	}
	return changes
}
