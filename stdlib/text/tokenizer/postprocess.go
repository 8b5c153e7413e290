package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// postprocessor finishes the encoding of one text.
type postprocessor interface {
	process(q sequence, addSpecial bool) sequence
}

type (
	// template puts special tokens around the text.
	template []part
	// trimmer takes white space at the edges out of byte-level offsets.
	trimmer struct{ prefixSpace bool }
)

// part of a template: a text (ids nil) or tokens.
type part struct {
	ids   []int32
	texts []string
	typ   int32
}

func (t template) process(q sequence, addSpecial bool) sequence {
	full := len(q.Offsets) == len(q.IDs) && len(q.texts) == len(q.IDs) && len(q.Types) == len(q.IDs)
	out := sequence{}
	for _, p := range t {
		if p.ids == nil {
			out.IDs = append(out.IDs, q.IDs...)
			if full {
				out.Offsets = append(out.Offsets, q.Offsets...)
				out.Special = append(out.Special, q.Special...)
				out.texts = append(out.texts, q.texts...)
				for range q.IDs {
					out.Types = append(out.Types, p.typ)
				}
			}
			continue
		}
		if !addSpecial {
			continue
		}
		out.IDs = append(out.IDs, p.ids...)
		for i := range p.ids {
			if full {
				out.add(span{}, p.texts[i])
				out.Special[len(out.Special)-1] = true
				out.Types[len(out.Types)-1] = p.typ
			}
		}
	}
	return out
}

func (t trimmer) process(q sequence, _ bool) sequence {
	for i, text := range q.texts {
		lead, trail := leading(text), trailing(text)
		o := &q.Offsets[i]
		if lead > 0 {
			if (i == 0 || o[0] == 0) && t.prefixSpace && lead == 1 {
				lead = 0 // the space that was put there
			}
			o[0] = min(o[0]+lead, o[1])
		}
		if trail > 0 && o[1] >= trail {
			o[1] = max(o[1]-trail, o[0])
		}
	}
	return q
}

// leading counts the white space at the front of a byte-level token, in bytes of the text it stands for.
func leading(s string) int {
	total := 0
	for _, r := range s {
		switch {
		case r == 'Ġ':
			total++
		case unicode.IsSpace(r):
			total += utf8.RuneLen(r)
		default:
			return total
		}
	}
	return total
}

// trailing is leading for the back.
func trailing(s string) int {
	total := 0
	for len(s) > 0 {
		r, n := utf8.DecodeLastRuneInString(s)
		switch {
		case r == 'Ġ':
			total++
		case unicode.IsSpace(r):
			total += n
		default:
			return total
		}
		s = s[:len(s)-n]
	}
	return total
}
