package tokenizer

import (
	"fmt"
	"strings"
	"testing"
)

// TestPrefixTrie holds the trie against a map, with keys that begin each other and bytes of all values.
func TestPrefixTrie(t *testing.T) {
	r := splitmix(3)
	keys := map[string]int32{"\x00": 1, "\xff": 2, "\xff\x00": 3, "a": 4}
	for i := range 20000 {
		b := make([]byte, 1+r.below(6))
		for k := range b {
			b[k] = "abcdeé\xff\x00▁"[r.below(12)]
		}
		keys[string(b)] = int32(i)
	}
	trie := newPrefixTrie(keys)
	for range 50000 {
		b := make([]byte, r.below(9))
		for k := range b {
			b[k] = "abcdeé\xff\x00▁"[r.below(12)]
		}
		s := string(b)
		value, n := int32(-1), 0
		for i := 1; i <= len(s); i++ {
			if v, ok := keys[s[:i]]; ok {
				value, n = v, i
			}
		}
		if v, k := trie.longest(s); v != value || k != n {
			t.Fatalf("%q: got %d of %d bytes, want %d of %d", s, v, k, value, n)
		}
	}
	if v, n := newPrefixTrie(nil).longest("abc"); v != -1 || n != 0 {
		t.Error(v, n)
	}
}

// BenchmarkPrefixTrie makes the trie of a vocabulary as large as RemBERT's.
func BenchmarkPrefixTrie(b *testing.B) {
	r := splitmix(4)
	keys := map[string]int32{}
	for len(keys) < 250_000 {
		var s strings.Builder
		for range 1 + r.below(7) {
			fmt.Fprintf(&s, "%c", []rune{'a', 0x430, 0x4e00, 0x3b1, 0x905}[r.below(5)]+rune(r.below(26)))
		}
		keys[s.String()] = int32(len(keys))
	}
	for b.Loop() {
		t := newPrefixTrie(keys)
		b.ReportMetric(float64(len(t.cells)), "cells")
	}
}
