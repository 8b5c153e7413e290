package tokenizer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

type variant struct {
	Base   string
	Stages map[string]json.RawMessage
	Model  map[string]json.RawMessage
}

type goldenVariant struct {
	N      int
	Hashes []string // for each hundred texts: ids, ids with specials and mask, offsets, decoded, decoded without specials
	Some   []struct {
		I       int
		IDs     []int32
		Offsets []int
		Decoded string
	}
}

// source is the tokenizer.json of a variant.
func (v variant) source(t testing.TB) []byte {
	t.Helper()
	var file, model map[string]json.RawMessage
	readJSON(t, "testdata/"+v.Base+".json", &file)
	maps.Copy(file, v.Stages)
	if err := json.Unmarshal(file["model"], &model); err != nil {
		t.Fatal(err)
	}
	maps.Copy(model, v.Model)
	file["model"], _ = json.Marshal(model)
	out, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func loadVariants(t testing.TB) map[string]*Tokenizer {
	t.Helper()
	var vs map[string]variant
	readJSON(t, "testdata/variants.json", &vs)
	out := map[string]*Tokenizer{}
	for name, v := range vs {
		tok, err := Parse(name, v.source(t))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = tok
	}
	return out
}

// TestGolden holds every variant against the Rust library on thousands of texts.
func TestGolden(t *testing.T) {
	var golden struct {
		Tokenizers string
		Variants   map[string]goldenVariant
	}
	readJSON(t, "testdata/golden.json", &golden)
	f := loadFragments(t)
	toks := loadVariants(t)
	if len(toks) != len(golden.Variants) {
		t.Fatalf("%d variants, %d goldens", len(toks), len(golden.Variants))
	}
	for _, name := range slices.Sorted(maps.Keys(golden.Variants)) {
		g := golden.Variants[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range g.Some {
				in := f.text(s.I)
				e := toks[name].EncodeFull(in, true)
				if !slices.Equal(e.IDs, s.IDs) {
					t.Fatalf("text %d %q\n got %v\nwant %v", s.I, in, spell(toks[name], e.IDs), spell(toks[name], s.IDs))
				}
				if got := flat(e.Offsets); !slices.Equal(got, s.Offsets) {
					t.Fatalf("offsets of text %d %q\n got %v\nwant %v\n%v", s.I, in, got, s.Offsets, spell(toks[name], e.IDs))
				}
				if got := toks[name].Decode(e.IDs, false); got != s.Decoded {
					t.Fatalf("decoded text %d\n got %q\nwant %q", s.I, got, s.Decoded)
				}
			}
			for i, want := range g.Hashes {
				if got := hashHundred(toks[name], f, 100*i); got != want {
					t.Fatalf("texts %d to %d: hashes\n got %s\nwant %s", 100*i, 100*i+99, got, want)
				}
			}
		})
	}
}

func spell(t *Tokenizer, ids []int32) string {
	var out []string
	for _, id := range ids {
		out = append(out, fmt.Sprintf("%d:%q", id, t.TokenString(id)))
	}
	return strings.Join(out, " ")
}

func flat(offsets [][2]int) []int {
	out := make([]int, 0, 2*len(offsets))
	for _, o := range offsets {
		out = append(out, o[0], o[1])
	}
	return out
}

func hashHundred(tok *Tokenizer, f fragments, lo int) string {
	var h [5]hash.Hash
	for i := range h {
		h[i] = sha256.New()
	}
	for i := lo; i < lo+100; i++ {
		s := f.text(i)
		pack(h[0], tok.Encode(s, false))
		fast, e := tok.Encode(s, true), tok.EncodeFull(s, true)
		if !slices.Equal(fast, e.IDs) {
			return fmt.Sprintf("Encode and EncodeFull differ on %q", s)
		}
		pack(h[1], e.IDs)
		for _, special := range e.Special {
			b := []byte{0}
			if special {
				b[0] = 1
			}
			h[1].Write(b)
		}
		pack(h[2], flat(e.Offsets))
		for k, skip := range []bool{false, true} {
			d := tok.Decode(e.IDs, skip)
			pack(h[3+k], []int{len(d)})
			h[3+k].Write([]byte(d))
		}
	}
	out := ""
	for _, x := range h {
		out += hex.EncodeToString(x.Sum(nil))[:8]
	}
	return out
}

func pack[T int | int32](h hash.Hash, xs []T) {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(xs)))
	for _, x := range xs {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	h.Write(b)
}

// TestUnicodeClasses holds the character classes against those of the Rust library, over all assigned code points.
func TestUnicodeClasses(t *testing.T) {
	var want map[string]string
	readJSON(t, "testdata/unicode.json", &want)
	cleaned := func(r rune) bool {
		p := piece{text: string(r)}
		bertText{clean: true}.normalize(&p)
		return p.text == ""
	}
	marks := func(r rune) bool {
		p := piece{text: string(r)}
		stripAccents{}.normalize(&p)
		return p.text == ""
	}
	nonspacing := func(r rune) bool {
		p := piece{text: string(r)}
		bertText{accents: true}.normalize(&p)
		return p.text == ""
	}
	space := func(r rune) bool { return slowKind(r) == space }
	for name, in := range map[string]func(rune) bool{"letter": isLetter, "number": isNumber, "space": space, "numeric": isNumeric,
		"word": isWord, "punctuation": isPunctuation, "marks": marks, "nonspacing": nonspacing, "cleaned": cleaned} {
		if got := hashClass(in); got != want[name] {
			t.Errorf("class %s: hash %.12s, want %.12s", name, got, want[name])
		}
	}
}

func points(f func(rune)) {
	for _, block := range [][2]rune{{0, 0xD800}, {0xE000, 0x32400}, {0xE0000, 0xE0200}} { // the rest is unassigned or private
		for r := block[0]; r < block[1]; r++ {
			f(r)
		}
	}
}

func hashClass(in func(rune) bool) string {
	var ranges [][2]rune
	points(func(r rune) {
		if !in(r) {
			return
		}
		if n := len(ranges); n > 0 && ranges[n-1][1] == r-1 {
			ranges[n-1][1] = r
		} else {
			ranges = append(ranges, [2]rune{r, r})
		}
	})
	b, _ := json.Marshal(ranges)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestUnicodeForms does the same for what the normalizers make of every single code point.
func TestUnicodeForms(t *testing.T) {
	var want map[string]string
	readJSON(t, "testdata/unicode.json", &want)
	for _, name := range []string{"NFC", "NFD", "NFKC", "NFKD", "Lowercase"} {
		n, err := readNormalizer(node{fields: map[string]json.RawMessage{"type": json.RawMessage(`"` + name + `"`)}})
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		points(func(r rune) {
			p := piece{text: string(r)}
			n.normalize(&p)
			h.Write([]byte(p.text + "\n"))
		})
		if got := hex.EncodeToString(h.Sum(nil)); got != want[name] {
			t.Errorf("%s: hash %.12s, want %.12s", name, got, want[name])
		}
	}
}

// TestConcurrent encodes from many goroutines and compares with one.
func TestConcurrent(t *testing.T) {
	f, tok := loadFragments(t), loadVariants(t)["llama"]
	want := hashHundred(tok, f, 0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 3 {
				if got := hashHundred(tok, f, 0); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
	wg.Wait()
}
