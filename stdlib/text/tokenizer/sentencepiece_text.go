package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// spNormalizer is SentencePiece's normalisation: the longest entry of the map at every place, white space trimmed and
// marked. User-defined pieces stay as they are.
type spNormalizer struct {
	m           *charsmap   // nil: no character changes
	user        *prefixTrie // nil without user-defined pieces
	dummyPrefix bool
	firstOnly   bool // the prefix stands at the start of the text only, not behind every added token
	trim        bool
	space       string // what a space becomes
}

// prefix normalises the start of s: what it becomes, and how many bytes it takes.
func (n *spNormalizer) prefix(s string) (to string, size int) {
	if n.user != nil {
		if _, k := n.user.longest(s); k > 0 {
			return s[:k], k
		}
	}
	if n.m != nil {
		if to, k := n.m.match(s, true); k > 0 {
			return to, k
		}
	}
	_, k := utf8.DecodeRuneInString(s)
	return s[:k], k
}

func (n *spNormalizer) normalize(p *piece) {
	s := p.text
	at := 0
	if n.trim {
		for at < len(s) {
			to, k := n.prefix(s[at:])
			if to != " " {
				break
			}
			at += k
		}
	}
	if at == len(s) {
		p.text = ""
		p.align = p.align[:0]
		return
	}
	var out strings.Builder
	out.Grow(len(s) + len(s)/2 + 3)
	var align []span
	add := func(text string, from span) {
		out.WriteString(text)
		if p.align != nil {
			for range len(text) {
				align = append(align, from)
			}
		}
	}
	original := func(lo, hi int) span {
		if p.align == nil {
			return span{}
		}
		return span{p.align[lo].lo, p.align[hi-1].hi}
	}
	if n.dummyPrefix && (!n.firstOnly || p.start == 0) {
		here := original(at, at+1)
		add(n.space, span{here.lo, here.lo})
	}
	before := n.trim // a space stands before
	for at < len(s) {
		to, k := n.prefix(s[at:])
		if before {
			to = strings.TrimLeft(to, " ")
		}
		from := original(at, at+k)
		for rest := to; rest != ""; {
			i := strings.IndexByte(rest, ' ')
			if i < 0 {
				add(rest, from)
				break
			}
			add(rest[:i], from)
			add(n.space, from)
			rest = rest[i+1:]
		}
		if to != "" {
			before = n.trim && to[len(to)-1] == ' '
		}
		at += k
	}
	p.text, p.align = out.String(), align
	if n.trim {
		for strings.HasSuffix(p.text, n.space) {
			p.text = p.text[:len(p.text)-len(n.space)]
		}
		if p.align != nil {
			p.align = p.align[:len(p.text)]
		}
	}
}

// spDecoder turns ids into text as SentencePiece does.
type spDecoder struct {
	pieces     []spPiece
	unkSurface string
	stripFirst bool // the first piece's mark is no space
	stripAll   bool // nor are those of the pieces before any text
}

// decode writes the text of ids; tokens that are no pieces (added ones), and control pieces where they show, stand as
// they are.
func (d *spDecoder) decode(t *Tokenizer, ids []int32, skipSpecial bool) string {
	var out strings.Builder
	var bytes []byte
	flush := func() {
		for len(bytes) > 0 {
			r, n := utf8.DecodeRune(bytes)
			out.WriteRune(r) // U+FFFD for each byte that begins nothing
			bytes = bytes[n:]
		}
	}
	first, seen := true, false
	for _, id := range ids {
		text, ok := t.token(id)
		if !ok {
			continue
		}
		a, added := t.addedByID[id]
		kind := uint64(pieceControl)
		if int(id) < len(d.pieces) {
			kind = d.pieces[id].kind
		}
		if kind == pieceByte && !added {
			b, _ := byteToken(text)
			bytes = append(bytes, b)
			continue
		}
		flush()
		if seen || out.Len() > 0 {
			first = false
		}
		seen = false
		switch {
		case added && a.Special && skipSpecial, kind == pieceControl && !added && skipSpecial:
		case added, kind == pieceControl:
			out.WriteString(text)
		case kind == pieceUnknown:
			out.WriteString(d.unkSurface)
		default:
			if first && d.stripFirst {
				if rest, ok := strings.CutPrefix(text, mark); ok {
					text, seen = rest, !d.stripAll
				}
			}
			out.WriteString(strings.ReplaceAll(text, mark, " "))
		}
	}
	flush()
	return out.String()
}
