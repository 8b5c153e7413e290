package score

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/internal/torchtest"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/score/encoders"
)

// hostilePairs are those of testdata/pairs.py.
func hostilePairs() [][2]string {
	var words []string
	for i := range 110 {
		if i%28 != 0 {
			words = append(words, fmt.Sprintf("word%d lesion in the left lobe", i))
		} else {
			words = append(words, "Large mass.")
		}
	}
	long := strings.Join(words, " ")
	same := "CT scan of the chest showing a 2.5 cm nodule (arrow)."
	return [][2]string{
		{"", ""}, {"", "A mass."}, {"A mass.", ""}, {"!!!", "???"}, {" ", "\n"}, {"mass", "mass"}, {"A", "b"}, {same, same},
		{"CT scan of the chest.", "MRI of the brain, T2-weighted. See Fig. 2. It measures approx. 3.5 cm."},
		{"\u5de6\u80ba\u306e\u7d50\u7bc0\u3002 The left lung.", "\u041b\u0435\u0432\u043e\u0435 \u043b\u0451\u0433\u043a\u043e\u0435 \u00b5m \u00bd"}, {"\u0130stanbul \u039f\u0394\u039f\u03a3 caf\u00e9 e\u0301", "\U0001f600 \u201cquoted\u201d \u2013 dash\u2026 \u00a0x"},
		{"tab\tnew\nline  two   spaces", "  lead and trail  "}, {"\u0663\u0664 mm x 5", "No. 5. the"}, {"\x00\x07 control\u200b\u00ad", "\ufeffbom \ufffd"},
		{long, long}, {long, "Short."}, {"Short.", long}, {"", long}, {long, ""}, {strings.Repeat("x", 3000), strings.Repeat("a ", 700)},
		{strings.Repeat("pneumonia ", 400), strings.Repeat("Large effusion. ", 130)}, {"[SEP] [CLS] <mask> </s>", "<s> [MASK] [PAD] <pad>"},
	}
}

// realPairs are the first n pairs of rouge_test.go; without LIGHTBOX_LONG 100 of them.
func realPairs(t testing.TB, lines, n int) [][2]string {
	if os.Getenv("LIGHTBOX_LONG") == "" {
		n = 100
	}
	all := rocoLines(t)
	if len(all) != lines {
		t.Fatalf("%d captions, the golden was made of %d", len(all), lines)
	}
	var out [][2]string
	for k := range n {
		out = append(out, rocoPair(all, k))
	}
	return out
}

// writeWeights draws the tensors of s as the goldens' scripts do, with a head that spreads the scores, and adds more.
func writeWeights(t testing.TB, path string, s encoders.Source, spread float32, more ...safetensors.Tensor) {
	t.Helper()
	for _, p := range s.Params() {
		v := modeltest.Weight(p.Name, p.Shape)
		if p.Name == s.Head+".weight" {
			for i := range v {
				v[i] *= spread
			}
		}
		more = append(more, safetensors.Float32(p.Name, safetensors.F32, p.Shape, v))
	}
	more = append(more, safetensors.Tensor{Name: s.Prefix + "embeddings.position_ids", DType: safetensors.I64, Shape: []int{1, 4}, Data: func() []byte { return make([]byte, 32) }})
	if err := os.WriteFile(path, torchtest.File(t, more, nil), 0o644); err != nil {
		t.Fatal(err)
	}
}

// copyDir copies the files of a directory.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// runNet gives the first column of a network over pairs.
func runNet(t testing.TB, n network, dir string, pairs [][2]string) []float64 {
	t.Helper()
	out, err := n.run(inputOf(pairs), dir)
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

// farthest is the greatest difference of two columns, and where it is.
func farthest(got, want []float64) (d float64, at int) {
	for i := range got {
		if x := math.Abs(got[i] - want[i]); x > d || math.IsNaN(x) {
			d, at = x, i
		}
	}
	return d, at
}

// TestLongestFirst: both ways of cutting keep what may stay, and differ where the texts are equal or both long.
func TestLongestFirst(t *testing.T) {
	for _, c := range []struct{ a, b, most, fastA, fastB, slowA, slowB int }{
		{3, 4, 9, 3, 4, 3, 4}, {600, 600, 509, 254, 255, 255, 254}, {601, 600, 509, 255, 254, 255, 254}, {600, 601, 509, 254, 255, 255, 254},
		{5, 600, 509, 5, 504, 5, 504}, {600, 5, 509, 504, 5, 504, 5}, {0, 600, 509, 0, 509, 0, 509}, {254, 300, 509, 254, 255, 254, 255}, {300, 255, 509, 255, 254, 255, 254},
		{600, 700, 508, 254, 254, 254, 254},
	} {
		a, b := longestFirst(c.a, c.b, c.most)
		sa, sb := longestFirstSlow(c.a, c.b, c.most)
		if a != c.fastA || b != c.fastB || sa != c.slowA || sb != c.slowB {
			t.Errorf("%d and %d within %d: %d %d and %d %d; want %d %d and %d %d", c.a, c.b, c.most, a, b, sa, sb, c.fastA, c.fastB, c.slowA, c.slowB)
		}
	}
}
