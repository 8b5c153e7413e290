package score

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
)

// allROUGE are the metrics in the order of make_golden.py: precision, recall
// and F1 of rouge1, rouge2 and rougeL; without and with stemmer; of the captions
// as they are and prepared.
func allROUGE() []rouge {
	var out []rouge
	for _, clef := range []bool{false, true} {
		for _, stem := range []bool{false, true} {
			for _, n := range []int{1, 2, 0} {
				for _, part := range []Part{Precision, Recall, F1} {
					out = append(out, rouge{n, ROUGEOptions{Stem: stem, Part: part, ImageCLEF: clef}})
				}
			}
		}
	}
	return out
}

func inputOf(pairs [][2]string) *input {
	rows := frame.NewRows(frame.CaptionColumns("system"))
	for _, p := range pairs {
		i := rows.Add()
		rows.SetString(i, frame.Reference, p[0])
		rows.SetString(i, frame.Caption, p[1])
	}
	return newInput(step.NewContext(context.Background(), step.Env{}), rows)
}

// Bit for bit what rouge_score gives, over pairs made to be awkward.
func TestROUGEGolden(t *testing.T) {
	var cases []struct {
		Reference, Caption string
		Scores             []float64
	}
	readJSON(t, "testdata/rouge.json", &cases)
	var pairs [][2]string
	for _, c := range cases {
		pairs = append(pairs, [2]string{c.Reference, c.Caption})
	}
	in := inputOf(pairs)
	for k, m := range allROUGE() {
		got, err := m.score(in)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range cases {
			want := c.Scores[k]
			if m.Opts.ImageCLEF && c.Reference == "" && c.Caption == "" {
				want = 1 // the evaluator's special case, which rouge_score does not have
			}
			if got[i] != want {
				t.Errorf("%s of %q against %q: got %v, want %v", m.column().Name, c.Caption, c.Reference, got[i], want)
			}
		}
	}
}

type rocoGolden struct {
	Lines, Words int
	Pairs        string
	Stems        map[string]string
}

// The same over 1,500 pairs of real captions, compared by hash.
func TestROUGERoco(t *testing.T) {
	lines := rocoLines(t)
	var golden rocoGolden
	readJSON(t, "testdata/roco.json", &golden)
	if len(lines) != golden.Lines {
		t.Fatalf("the captions file has %d lines, the goldens were made of %d", len(lines), golden.Lines)
	}
	var pairs [][2]string
	for k := range len(golden.Pairs) / 8 {
		pairs = append(pairs, rocoPair(lines, k))
	}
	in := inputOf(pairs)
	hashes := make([][]byte, len(pairs))
	for _, m := range allROUGE() {
		got, err := m.score(in)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			hashes[i] = binary.LittleEndian.AppendUint64(hashes[i], math.Float64bits(v))
		}
	}
	wrong := 0
	for i, raw := range hashes {
		sum := sha256.Sum256(raw)
		if got, want := hex.EncodeToString(sum[:4]), golden.Pairs[8*i:8*i+8]; got != want {
			if wrong++; wrong <= 5 {
				t.Errorf("pair %d of line %d: scores hash to %s, want %s", i, i*5+1, got, want)
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d pairs differ", wrong, len(pairs))
	}
}

// rocoPair is pair k of make_golden.py: another caption, the caption without
// every third word, or its words backwards.
func rocoPair(lines []string, k int) [2]string {
	ref := lines[k*5]
	words := strings.Split(ref, " ")
	switch k % 3 {
	case 0:
		return [2]string{ref, lines[(k*11+7)%len(lines)]}
	case 1:
		var kept []string
		for i, w := range words {
			if i%3 != 2 {
				kept = append(kept, w)
			}
		}
		return [2]string{ref, strings.Join(kept, " ")}
	}
	slices.Reverse(words)
	return [2]string{ref, strings.Join(words, " ")}
}

func rocoLines(t testing.TB) []string {
	t.Helper()
	path := filepath.Join(shared(t), "data", "roco-text", "validation_captions.txt")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("no real captions here: %v", err)
	}
	var out []string
	for _, l := range strings.Split(string(text), "\n") {
		if l != "" {
			_, caption, _ := strings.Cut(l, "\t")
			out = append(out, caption)
		}
	}
	return out
}

// shared finds the folder of data that is no part of this repository.
func shared(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("LIGHTBOX_SHARED"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if s := filepath.Join(dir, "shared"); isDir(s) {
			return s
		}
	}
	t.Skip("no folder shared beside the repository (LIGHTBOX_SHARED names another)")
	return ""
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func readJSON(t testing.TB, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestStems(t *testing.T) {
	text, err := os.ReadFile("testdata/stems.txt")
	if err != nil {
		t.Fatal(err)
	}
	n, wrong := 0, 0
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		word, want, ok := strings.Cut(line, " ")
		if !ok {
			t.Fatalf("bad line %q", line)
		}
		n++
		if got := porterStem(word); got != want {
			if wrong++; wrong < 20 {
				t.Errorf("stem of %q: got %q, want %q", word, got, want)
			}
		}
	}
	if n < 1500 {
		t.Errorf("only %d words", n)
	}
}

func TestStemsRoco(t *testing.T) {
	lines := rocoLines(t)
	var golden rocoGolden
	readJSON(t, "testdata/roco.json", &golden)
	byLetter := map[byte]map[string]bool{}
	for _, l := range lines {
		for _, w := range rougeTokens(l, false) {
			if len(w) > 3 {
				if byLetter[w[0]] == nil {
					byLetter[w[0]] = map[string]bool{}
				}
				byLetter[w[0]][w] = true
			}
		}
	}
	total := 0
	for c, set := range byLetter {
		var b strings.Builder
		for _, w := range sorted(set) {
			fmt.Fprintf(&b, "%s %s\n", w, porterStem(w))
		}
		total += len(set)
		sum := sha256.Sum256([]byte(b.String()))
		if got, want := hex.EncodeToString(sum[:8]), golden.Stems[string(c)]; got != want {
			t.Errorf("stems of the words in %q: hash %s, want %s", c, got, want)
		}
	}
	if total != golden.Words {
		t.Errorf("%d words, the golden has %d", total, golden.Words)
	}
}

// ROUGE-1, -2 and -L over real captions; testdata/bench.py runs it beside rouge_score.
func BenchmarkROUGE(b *testing.B) {
	lines := rocoLines(b)
	var pairs [][2]string
	for k := range 1500 {
		pairs = append(pairs, rocoPair(lines, k))
	}
	for b.Loop() {
		in := inputOf(pairs)
		for _, n := range []int{1, 2, 0} {
			if _, err := (rouge{N: n}).score(in); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*len(pairs))/b.Elapsed().Seconds(), "pairs/s")
}
