package tokenizer

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder turns tokens back into text, step by step.
type decoder interface {
	decode(tokens []string) []string
}

type (
	decoders     []decoder
	replaceToken replaceText
	byteFallback struct{}
	fuse         struct{}
	stripToken   struct {
		content     rune
		start, stop int
	}
	metaspaceDecoder struct {
		mark   rune
		prefix bool // the first token's marks are no spaces
	}
	wordPieceDecoder struct {
		prefix  string
		cleanup bool
	}
	suffixDecoder string
)

func (ds decoders) decode(tokens []string) []string {
	for _, d := range ds {
		tokens = d.decode(tokens)
	}
	return tokens
}

func (r replaceToken) decode(tokens []string) []string {
	var buf []match
	for i, s := range tokens {
		p := piece{text: s}
		buf = p.replace(r.m, r.content, buf)
		tokens[i] = p.text
	}
	return tokens
}

func (byteFallback) decode(tokens []string) []string {
	out := tokens[:0:0]
	var pending []byte
	flush := func() {
		if len(pending) == 0 {
			return
		}
		if utf8.Valid(pending) {
			out = append(out, string(pending))
		} else {
			for range pending {
				out = append(out, "\uFFFD")
			}
		}
		pending = pending[:0]
	}
	for _, s := range tokens {
		if b, ok := byteToken(s); ok {
			pending = append(pending, b)
			continue
		}
		flush()
		out = append(out, s)
	}
	flush()
	return out
}

// byteToken reads "<0xE2>".
func byteToken(s string) (byte, bool) {
	if len(s) != 6 || s[:3] != "<0x" || s[5] != '>' {
		return 0, false
	}
	digits := s[3:5]
	if digits[0] == '+' { // as Rust reads numbers
		digits = digits[1:]
	}
	b, err := strconv.ParseUint(digits, 16, 8)
	return byte(b), err == nil
}

func (fuse) decode(tokens []string) []string { return []string{strings.Join(tokens, "")} }

func (d stripToken) decode(tokens []string) []string {
	for i, s := range tokens {
		for n := 0; n < d.start && strings.HasPrefix(s, string(d.content)); n++ {
			s = s[utf8.RuneLen(d.content):]
		}
		for n := 0; n < d.stop && strings.HasSuffix(s, string(d.content)); n++ {
			s = s[:len(s)-utf8.RuneLen(d.content)]
		}
		tokens[i] = s
	}
	return tokens
}

// decode of a byteLevel joins all tokens, whose runes stand for bytes. A token with a rune that
// stands for none keeps its text.
func (byteLevel) decode(tokens []string) []string {
	var all []byte
	for _, s := range tokens {
		if b, ok := charsToBytes(s); ok {
			all = append(all, b...)
		} else {
			all = append(all, s...)
		}
	}
	return []string{lossy(all)}
}

// lossy is b as text with U+FFFD for each maximal part of a broken sequence, as Rust and
// the Unicode standard replace them (one for "\xe2\x82", two for "\xff\xff").
func lossy(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r != utf8.RuneError || n > 1 {
			out.WriteRune(r)
			b = b[n:]
			continue
		}
		out.WriteRune(utf8.RuneError)
		b = b[brokenLen(b):]
	}
	return out.String()
}

// brokenLen is the length of the longest start of b that a well-formed sequence could begin with, at least 1.
func brokenLen(b []byte) int {
	lo, hi, want := byte(0x80), byte(0xbf), 0
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		want = 1
	case c >= 0xe0 && c <= 0xef:
		want = 2
	case c >= 0xf0 && c <= 0xf4:
		want = 3
	}
	switch b[0] {
	case 0xe0:
		lo = 0xa0
	case 0xed:
		hi = 0x9f
	case 0xf0:
		lo = 0x90
	case 0xf4:
		hi = 0x8f
	}
	n := 1
	for ; want > 0 && n < len(b) && b[n] >= lo && b[n] <= hi; want-- {
		n++
		lo, hi = 0x80, 0xbf
	}
	return n
}

func (d metaspaceDecoder) decode(tokens []string) []string {
	for i, s := range tokens {
		with := " "
		if i == 0 && d.prefix {
			with = ""
		}
		tokens[i] = strings.ReplaceAll(s, string(d.mark), with)
	}
	return tokens
}

func (d wordPieceDecoder) decode(tokens []string) []string {
	for i, s := range tokens {
		if i > 0 {
			if rest, ok := strings.CutPrefix(s, d.prefix); ok {
				s = rest
			} else {
				s = " " + s
			}
		}
		if d.cleanup {
			s = cleanUp(s)
		}
		tokens[i] = s
	}
	return tokens
}

// cleanUp takes the spaces out that English punctuation does not want.
func cleanUp(s string) string {
	for _, r := range [...][2]string{{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"},
		{" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}} {
		s = strings.ReplaceAll(s, r[0], r[1])
	}
	return s
}

func (suffix suffixDecoder) decode(tokens []string) []string {
	for i, s := range tokens {
		with := " "
		if i == len(tokens)-1 {
			with = ""
		}
		tokens[i] = strings.ReplaceAll(s, string(suffix), with)
	}
	return tokens
}
