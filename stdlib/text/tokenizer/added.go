package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Added is a token that is matched in the text as it stands instead of being merged from parts.
type Added struct {
	ID         int32
	Content    string
	SingleWord bool // matches only between characters that are not of a word
	LStrip     bool // takes the white space on its left along
	RStrip     bool // takes the white space on its right along
	Normalized bool // matched after normalisation instead of before
	Special    bool // left out by Decode on request
}

// trie finds the longest of a set of strings at a position.
type trie struct{ nodes []trieNode }

type trieNode struct {
	next  map[byte]int32
	token int32 // index of the added token that ends here, or -1
}

func (t *trie) insert(s string, token int32) {
	if t.nodes == nil {
		t.nodes = []trieNode{{map[byte]int32{}, -1}}
	}
	at := int32(0)
	for i := range len(s) {
		to, ok := t.nodes[at].next[s[i]]
		if !ok {
			to = int32(len(t.nodes))
			t.nodes = append(t.nodes, trieNode{map[byte]int32{}, -1})
			t.nodes[at].next[s[i]] = to
		}
		at = to
	}
	t.nodes[at].token = token
}

// longest is the token of the longest string that s begins with, and its length; token is -1 without one.
func (t *trie) longest(s string) (token int32, n int) {
	token = -1
	at := int32(0)
	for i := range len(s) {
		to, ok := t.nodes[at].next[s[i]]
		if !ok {
			break
		}
		at = to
		if t.nodes[at].token >= 0 {
			token, n = t.nodes[at].token, i+1
		}
	}
	return token, n
}

// firsts is a set of bytes: those that begin a string of the trie.
func (t *trie) firsts() string {
	var b []byte
	if t.nodes != nil {
		for c := range 256 {
			if _, ok := t.nodes[0].next[byte(c)]; ok {
				b = append(b, byte(c))
			}
		}
	}
	return string(b)
}

// finder matches a set of added tokens.
type finder struct {
	trie  trie
	first [256]bool
	one   int // the only first byte, or -1
}

func newFinder(tokens []Added, pattern func(Added) (string, bool)) *finder {
	f := &finder{one: -1}
	for i, a := range tokens {
		if s, ok := pattern(a); ok && s != "" {
			f.trie.insert(s, int32(i))
		}
	}
	first := f.trie.firsts()
	for i := range len(first) {
		f.first[first[i]] = true
	}
	if len(first) == 1 {
		f.one = int(first[0])
	}
	if first == "" {
		return nil
	}
	return f
}

// next is the leftmost, then longest, token at or behind position at of s; token is -1 without one.
func (f *finder) next(s string, at int) (token int32, lo, hi int) {
	for at < len(s) {
		if f.one >= 0 {
			i := strings.IndexByte(s[at:], byte(f.one))
			if i < 0 {
				break
			}
			at += i
		} else if !f.first[s[at]] {
			at++
			continue
		}
		if token, n := f.trie.longest(s[at:]); token >= 0 {
			return token, at, at + n
		}
		at++
	}
	return -1, 0, 0
}

// split cuts the added tokens of f out of p.
func (f *finder) split(p piece, tokens []Added, out []piece) []piece {
	if p.text == "" {
		return out
	}
	if f == nil {
		return append(out, p)
	}
	s, done := p.text, 0
	for at := 0; ; {
		token, lo, hi := f.next(s, at)
		if token < 0 {
			break
		}
		at = hi
		a := tokens[token]
		if a.SingleWord && (endsWithWord(s[:lo]) || startsWithWord(s[hi:])) {
			continue
		}
		if a.LStrip {
			lo = max(done, len(strings.TrimRightFunc(s[:lo], unicode.IsSpace)))
		}
		if a.RStrip {
			hi = len(s) - len(strings.TrimLeftFunc(s[hi:], unicode.IsSpace))
		}
		if done < lo {
			out = append(out, p.slice(done, lo))
		}
		t := p.slice(lo, hi)
		t.id = a.ID
		if lo < hi {
			out = append(out, t)
		}
		done = hi
	}
	if done == 0 {
		return append(out, p.slice(0, len(s)))
	}
	if done < len(s) {
		out = append(out, p.slice(done, len(s)))
	}
	return out
}

func endsWithWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWord(r)
}

func startsWithWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWord(r)
}
