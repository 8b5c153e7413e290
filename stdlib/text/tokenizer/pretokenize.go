package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// pretokenizer cuts a piece that is no added token into the pieces that the model sees one by one.
// It appends them to out; empty ones are left out.
type pretokenizer interface {
	cut(p piece, out []piece) []piece
}

type (
	splitter struct {
		m matcher
		b behavior
	}
	metaspace struct {
		mark   string
		scheme string // "always", "first", "never"
		split  bool
	}
	byteLevel struct {
		prefixSpace, trimOffsets bool
		m                        matcher // nil: no cutting
		raw                      bool    // leave the bytes as they are: the model reads bytes
	}
	fixedLength int
)

func (s splitter) cut(p piece, out []piece) []piece {
	var buf [32]match
	for _, m := range s.b.cut(s.m.find(p.text, buf[:0])) {
		if m.lo < m.hi {
			out = append(out, p.slice(m.lo, m.hi))
		}
	}
	return out
}

func (m metaspace) cut(p piece, out []piece) []piece {
	var buf [32]match
	p.replace(literal(" "), m.mark, buf[:0])
	if m.scheme != "never" && !strings.HasPrefix(p.text, m.mark) && (m.scheme == "always" || p.start == 0) {
		p.prepend(m.mark)
	}
	if !m.split {
		if p.text != "" {
			out = append(out, p)
		}
		return out
	}
	return splitter{literal(m.mark), mergedWithNext}.cut(p, out)
}

func (b byteLevel) cut(p piece, out []piece) []piece {
	if b.prefixSpace && !strings.HasPrefix(p.text, " ") {
		p.prepend(" ")
	}
	n := len(out)
	if b.m == nil {
		if p.text != "" {
			out = append(out, p)
		}
	} else {
		out = splitter{b.m, isolated}.cut(p, out)
	}
	if !b.raw {
		for i := n; i < len(out); i++ {
			byteChars{}.normalize(&out[i])
		}
	}
	return out
}

func (n fixedLength) cut(p piece, out []piece) []piece {
	for lo := 0; lo < len(p.text); {
		hi := lo
		for i := 0; i < int(n) && hi < len(p.text); i++ {
			_, size := utf8.DecodeRuneInString(p.text[hi:])
			hi += size
		}
		out = append(out, p.slice(lo, hi))
		lo = hi
	}
	return out
}

// wordRuns matches \w+|[^\w\s]+.
type wordRuns struct{}

func (wordRuns) find(s string, out []match) []match {
	group := func(r rune) int {
		switch {
		case isWord(r):
			return 1
		case unicode.IsSpace(r):
			return 0
		}
		return 2
	}
	lo, now := 0, -1
	for i, r := range s {
		g := group(r)
		if g != now && i > 0 {
			out = append(out, match{lo, i, now > 0})
			lo = i
		}
		now = g
	}
	if lo < len(s) {
		out = append(out, match{lo, len(s), now > 0})
	}
	return out
}

// byteChar is GPT-2's printable rune for each byte.
var byteChar = func() (chars [256]string) {
	n := rune(0)
	for i := range chars {
		r := rune(i)
		if !(i >= '!' && i <= '~' || i >= 0xa1 && i <= 0xac || i >= 0xae) {
			r = 256 + n
			n++
		}
		chars[i] = string(r)
	}
	return chars
}()

// charByte is the inverse of byteChar; -1 where the rune stands for no byte.
var charByte = func() (bytes [0x180]int16) {
	for i := range bytes {
		bytes[i] = -1
	}
	for b, c := range byteChar {
		r, _ := utf8.DecodeRuneInString(c)
		bytes[r] = int16(b)
	}
	return bytes
}()

func bytesToChars(s string) string {
	var out strings.Builder
	out.Grow(2 * len(s))
	for i := range len(s) {
		out.WriteString(byteChar[s[i]])
	}
	return out.String()
}

// charsToBytes undoes bytesToChars; ok is false where a rune stands for no byte.
func charsToBytes(s string) (bytes []byte, ok bool) {
	bytes = make([]byte, 0, len(s))
	for _, r := range s {
		if int(r) >= len(charByte) || charByte[r] < 0 {
			return nil, false
		}
		bytes = append(bytes, byte(charByte[r]))
	}
	return bytes, true
}
