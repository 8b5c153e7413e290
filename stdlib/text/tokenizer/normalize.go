package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizer rewrites a piece before it is cut. With offsets tracked or not, the text comes out the same.
type normalizer interface{ normalize(p *piece) }

type (
	normalizers []normalizer
	prependText string
	replaceText struct {
		m       matcher
		content string
	}
	unicodeForm  norm.Form
	lowercase    struct{}
	stripSpace   struct{ left, right bool }
	stripAccents struct{}
	nmt          struct{}
	byteChars    struct{}
	bertText     struct{ clean, chinese, accents, lower bool }
)

func (ns normalizers) normalize(p *piece) {
	for _, n := range ns {
		n.normalize(p)
	}
}

func (s prependText) normalize(p *piece) { p.prepend(string(s)) }

func (r replaceText) normalize(p *piece) { p.replace(r.m, r.content, nil) }

func (f unicodeForm) normalize(p *piece) {
	form := norm.Form(f)
	switch {
	case form.IsNormalString(p.text):
	case p.align != nil:
		p.rewrite(normalChanges(p.text, form), 0)
	case form == norm.NFC || !strings.ContainsFunc(p.text, isFrozen):
		p.text = form.String(p.text)
	default:
		p.apply(normalChanges(p.text, form), 0)
	}
}

func (lowercase) normalize(p *piece) {
	p.mapRunes(func(r rune, to []change) []change {
		if r == 'İ' { // the only letter whose full lower-case mapping has two runes
			return append(to, change{'i', 0}, change{'\u0307', 1})
		}
		return append(to, change{toLower(r), 0})
	})
}

func (s stripSpace) normalize(p *piece) {
	text := p.text
	if s.left {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
	}
	lo := len(p.text) - len(text)
	if s.right {
		text = strings.TrimRightFunc(text, unicode.IsSpace)
	}
	p.text = text
	if p.align != nil {
		p.align = p.align[lo : lo+len(text)]
	}
}

func (stripAccents) normalize(p *piece) {
	p.filter(func(r rune) bool { return !unicode.Is(unicode.M, r) && r != 0x1cf2 && r != 0x1cf3 || in(r, newMarks) })
}

func (nmt) normalize(p *piece) {
	p.filter(func(r rune) bool {
		return !(r >= 1 && r <= 8 || r == 0x0b || r >= 0x0e && r <= 0x1f || r == 0x7f || r == 0x8f || r == 0x9f)
	})
	p.mapRunes(func(r rune, to []change) []change {
		switch {
		case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, r >= 0x200b && r <= 0x200f,
			r == 0x2028, r == 0x2029, r == 0x2581, r == 0xfeff, r == 0xfffd:
			r = ' '
		}
		return append(to, change{r, 0})
	})
}

func (byteChars) normalize(p *piece) {
	if p.align == nil {
		p.text = bytesToChars(p.text)
		return
	}
	align := make([]span, 0, 2*len(p.align))
	for i := range len(p.text) {
		for range len(byteChar[p.text[i]]) {
			align = append(align, p.align[i])
		}
	}
	p.text, p.align = bytesToChars(p.text), align
}

func (b bertText) normalize(p *piece) {
	if p.align == nil && b.ascii(p) {
		return
	}
	if b.clean {
		p.filter(func(r rune) bool {
			control := unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) && r != '\t' && r != '\n' && r != '\r' && !in(r, shownFormats)
			return r != 0 && r != 0xfffd && !control
		})
		p.mapRunes(func(r rune, to []change) []change {
			if unicode.IsSpace(r) {
				r = ' '
			}
			return append(to, change{r, 0})
		})
	}
	if b.chinese {
		p.mapRunes(func(r rune, to []change) []change {
			if isChinese(r) {
				return append(to, change{' ', 0}, change{r, 1}, change{' ', 1})
			}
			return append(to, change{r, 0})
		})
	}
	if b.accents {
		unicodeForm(norm.NFD).normalize(p)
		p.filter(func(r rune) bool { return !isNonspacing(r) })
	}
	if b.lower {
		lowercase{}.normalize(p)
	}
}

// ascii does all at once where the text is ASCII, in which no character has accents; else it changes nothing.
func (b bertText) ascii(p *piece) bool {
	out := make([]byte, 0, len(p.text))
	for i := range len(p.text) {
		c := p.text[i]
		switch {
		case c >= utf8.RuneSelf:
			return false
		case !b.clean:
		case c == '\t', c == '\n', c == '\r':
			c = ' '
		case c < ' ', c == 0x7f:
			continue
		}
		if b.lower && c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		out = append(out, c)
	}
	p.text = string(out)
	return true
}

func isChinese(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF ||
		r >= 0x2A700 && r <= 0x2B73F || r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF ||
		r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}

// mapRunes rewrites the piece rune by rune.
func (p *piece) mapRunes(f func(rune, []change) []change) {
	changes := make([]change, 0, len(p.text))
	for _, r := range p.text {
		changes = f(r, changes)
	}
	p.apply(changes, 0)
}

// filter drops the runes that keep refuses.
func (p *piece) filter(keep func(rune) bool) {
	changes := make([]change, 0, len(p.text))
	dropped := 0
	for _, r := range p.text {
		switch {
		case keep(r):
			changes = append(changes, change{r, 0})
		case len(changes) == 0:
			dropped++
		default:
			changes[len(changes)-1].n--
		}
	}
	p.apply(changes, dropped)
}

// apply makes the changes, with offsets or without.
func (p *piece) apply(changes []change, dropped int) {
	if p.align != nil {
		p.rewrite(changes, dropped)
		return
	}
	var text strings.Builder
	text.Grow(len(p.text))
	for _, c := range changes {
		text.WriteRune(c.r)
	}
	p.text = text.String()
}

func isFrozen(r rune) bool { return in(r, frozen) }

// normalChanges is s in a Unicode normal form, rune by rune with what became of the runes of s.
func normalChanges(s string, form norm.Form) []change {
	decompose, compose := norm.NFD, form == norm.NFC || form == norm.NFKC
	if form == norm.NFKC || form == norm.NFKD {
		decompose = norm.NFKD
	}
	var out []change
	var class []uint8 // combining class of each rune of out
	for _, r := range s {
		n := 0
		parts := string(r)
		if !isFrozen(r) {
			parts = decompose.String(parts)
		}
		for _, d := range parts {
			ccc := norm.NFD.PropertiesString(string(d)).CCC()
			at := len(out)
			for ccc != 0 && at > 0 && class[at-1] > ccc {
				at--
			}
			out, class = append(out, change{}), append(class, 0)
			copy(out[at+1:], out[at:])
			copy(class[at+1:], class[at:])
			out[at], class[at] = change{d, n}, ccc
			n = 1
		}
	}
	if !compose {
		return out
	}
	return composed(out, class)
}

// composed joins starters with what follows them where Unicode has one rune for both.
func composed(in []change, class []uint8) []change {
	out := in[:0]
	starter, last := -1, -1 // the starter in out; the class of the last rune kept behind it, -1 for none
	for i, c := range in {
		ccc := int(class[i])
		if starter >= 0 && (last < ccc || last < 0) {
			if r, ok := pair(out[starter].r, c.r); ok {
				out[starter] = change{r, out[starter].n + c.n - 1}
				continue
			}
		}
		if ccc == 0 {
			starter, last = len(out), -1
		} else {
			last = ccc
		}
		out = append(out, c)
	}
	return out
}

// pair is the one rune that canonically stands for a followed by b, if there is one.
func pair(a, b rune) (rune, bool) {
	joined := norm.NFC.String(string([]rune{a, b}))
	for i, r := range joined {
		if i > 0 {
			return 0, false
		}
		a = r
	}
	return a, true
}
