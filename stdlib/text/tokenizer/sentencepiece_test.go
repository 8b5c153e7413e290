package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

type goldenSP struct {
	N      int
	Hashes []string // for each hundred texts: ids, decoded
	Some   []struct {
		I       int
		IDs     []int32
		Decoded string
	}
}

// TestSentencePiece holds .model files against the library sentencepiece on thousands of texts. LIGHTBOX_SENTENCEPIECE
// names a golden of other models (make_sentencepiece.py -o FILE MODEL...), to be checked by hand.
func TestSentencePiece(t *testing.T) {
	file := "testdata/sentencepiece.json"
	if other := os.Getenv("LIGHTBOX_SENTENCEPIECE"); other != "" {
		file = other
	}
	var golden struct {
		SentencePiece string
		Models        map[string]goldenSP
	}
	readJSON(t, file, &golden)
	if len(golden.Models) == 0 {
		t.Fatal("no models")
	}
	f := loadFragments(t)
	for _, name := range slices.Sorted(maps.Keys(golden.Models)) {
		g := golden.Models[name]
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			path := name
			if !filepath.IsAbs(name) {
				path = filepath.Join("testdata", name)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			tok, err := ParseSentencePiece(name, data)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range g.Some {
				in := f.text(s.I)
				ids := tok.Encode(in, true)
				if !slices.Equal(ids, s.IDs) {
					t.Fatalf("text %d %q\n got %v\nwant %v", s.I, in, spell(tok, ids), spell(tok, s.IDs))
				}
				if got := tok.Decode(ids, true); got != s.Decoded {
					t.Fatalf("decoded text %d\n got %q\nwant %q", s.I, got, s.Decoded)
				}
			}
			for i, want := range g.Hashes {
				ids, decoded := sha256.New(), sha256.New()
				for k := 100 * i; k < 100*i+100; k++ {
					in := f.text(k)
					x := tok.Encode(in, true)
					pack(ids, x)
					d := tok.Decode(x, true)
					pack(decoded, []int{len(d)})
					decoded.Write([]byte(d))
					e := tok.EncodeFull(in, true)
					if !slices.Equal(e.IDs, x) {
						t.Fatalf("Encode and EncodeFull differ on %q", in)
					}
					checkCover(t, in, e)
				}
				if got := hex.EncodeToString(ids.Sum(nil))[:8] + hex.EncodeToString(decoded.Sum(nil))[:8]; got != want {
					t.Fatalf("texts %d to %d: hashes\n got %s\nwant %s", 100*i, 100*i+99, got, want)
				}
			}
		})
	}
}

// checkCover: offsets ascend and lie in the text.
func checkCover(t *testing.T, text string, e Encoding) {
	t.Helper()
	last := 0
	for i, o := range e.Offsets {
		if o[0] < 0 || o[1] > len(text) || o[0] > o[1] || o[0] < last {
			t.Fatalf("%q: token %d has offsets %v behind %d", text, i, o, last)
		}
		last = o[0]
	}
}
