package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// TestDamagedSentencePiece loads models with bytes changed or cut off: an error that names the file or a tokenizer, never a
// panic; and what is not supported says so.
func TestDamagedSentencePiece(t *testing.T) {
	f := loadFragments(t)
	r := splitmix(7)
	loaded := 0
	for _, name := range []string{"sp_unigram.model", "sp_unigram_bytes.model", "sp_bpe.model"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for range 150 {
			bad := slices.Clone(data)
			for range 1 + r.below(4) {
				bad[r.below(uint64(len(bad)))] = byte(r.below(256))
			}
			if r.below(8) == 0 {
				bad = bad[:r.below(uint64(len(bad)))]
			}
			tok, err := ParseSentencePiece(name, bad)
			if err != nil {
				if !strings.HasPrefix(err.Error(), name+": ") {
					t.Fatal(err)
				}
				continue
			}
			loaded++
			for range 5 {
				tok.Decode(tok.EncodeFull(f.text(int(r.below(1000))), true).IDs, false)
			}
		}
	}
	if loaded < 50 {
		t.Errorf("only %d of the damaged models load: the test has no teeth", loaded)
	}
	field := func(number int, data string) string {
		return string(rune(number<<3|2)) + string(rune(len(data))) + data
	}
	piece := func(text string, kind rune) string { return field(1, field(1, text)+"\x18"+string(kind)) }
	unk := piece("<unk>", pieceUnknown)
	for _, c := range []struct{ data, want string }{
		{"", "x.model: no SentencePiece model: it has no pieces"},
		{"{\"model\": 1}", "x.model: no SentencePiece model: is no message of protocol buffers, or cut short"},
		{piece("a", pieceNormal), "0 unknown pieces; want one"},
		{unk + piece("a", pieceNormal) + piece("a", pieceNormal), `the piece "a" stands twice`},
		{unk + piece("a", 9), `the piece "a" has the unknown kind 9`},
		{unk + piece("<0xZZ>", pieceByte), `the byte piece "<0xZZ>" is not like <0x0A>`},
		{unk + field(2, "\x18\x03"), "trainer_spec.model_type is 3; known: 1 (unigram), 2 (BPE)"},
		{unk + field(2, "\x18\x02") + piece("a", pieceUnused), `the piece "a" is unused, which is not supported in a BPE model`},
		{unk + field(3, field(2, "abc")), "normalizer_spec.precompiled_charsmap: 3 bytes are too few"},
		{unk + field(5, field(2, "abc")), "denormalizer_spec: a map for decoding is not supported"},
	} {
		if _, err := ParseSentencePiece("x.model", []byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v\nwant %s", c.data, err, c.want)
		}
	}
}
