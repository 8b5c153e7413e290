package tokenizer

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// fragments is testdata/fragments.json: what the texts of the goldens are made of.
type fragments map[string][]string

func loadFragments(t testing.TB) fragments {
	t.Helper()
	var f fragments
	readJSON(t, "testdata/fragments.json", &f)
	return f
}

func readJSON(t testing.TB, name string, to any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// splitmix is the generator of make_golden.py.
type splitmix uint64

func (s *splitmix) below(n uint64) uint64 {
	*s += 0x9E3779B97F4A7C15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return (z ^ z>>31) % n
}

var mixture = []string{"words", "words", "words", "words", "words", "words", "glue", "glue", "glue", "odd", "odd",
	"unicode", "unicode", "special"}

// text is the i-th text of make_golden.py.
func (f fragments) text(i int) string {
	r := splitmix(i)
	var out strings.Builder
	for range r.below(24) {
		kind := mixture[r.below(uint64(len(mixture)))]
		if r.below(20) == 0 {
			c := rune(r.below(0x110000 - 0x800))
			if c >= 0xD800 {
				c += 0x800
			}
			out.WriteRune(c)
			continue
		}
		out.WriteString(f[kind][r.below(uint64(len(f[kind])))])
		if kind == "words" && r.below(8) != 0 {
			out.WriteByte(' ')
		}
	}
	return out.String()
}
