package tokenizer

import (
	"strings"
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
	out := sequence{text: q.text}
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

// process counts in characters, as the Rust library does, whatever the token's white space stands for.
func (t trimmer) process(q sequence, _ bool) sequence {
	for i, text := range q.texts {
		lead := utf8.RuneCountInString(text) - utf8.RuneCountInString(strings.TrimLeftFunc(text, isBlank))
		trail := utf8.RuneCountInString(text) - utf8.RuneCountInString(strings.TrimRightFunc(text, isBlank))
		o := &q.Offsets[i]
		if lead == 1 && t.prefixSpace && (i == 0 || o[0] == 0) {
			lead = 0 // the space that was put there
		}
		for ; lead > 0 && o[0] < o[1]; lead-- {
			_, n := utf8.DecodeRuneInString(q.text[o[0]:])
			o[0] += n
		}
		if utf8.RuneCountInString(q.text[:o[1]]) < trail {
			continue
		}
		for ; trail > 0 && o[1] > o[0]; trail-- {
			_, n := utf8.DecodeLastRuneInString(q.text[:o[1]])
			o[1] -= n
		}
	}
	return q
}

// isBlank tells the white space of byte-level tokens.
func isBlank(r rune) bool { return r == 'Ġ' || unicode.IsSpace(r) }
