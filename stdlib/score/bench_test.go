package score

import (
	"os"
	"path/filepath"
	"testing"

	"lightbox/stdlib/score/encoders"
	"lightbox/stdlib/text"
	"lightbox/stdlib/text/punkt"
)

// The benchmarks of metrics with a network score the pairs of captions in a folder beside their checkpoint;
// testdata/bench_network.py writes it, and runs them beside the references.
func benchPairs(b *testing.B) (dir string, pairs [][2]string) {
	if dir = os.Getenv("LIGHTBOX_BENCH"); dir == "" {
		b.Skip("LIGHTBOX_BENCH names no folder of testdata/bench_network.py")
	}
	readJSON(b, filepath.Join(dir, "pairs.json"), &pairs)
	return dir, pairs
}

func finish(b *testing.B, dir string, got []float64) {
	b.ReportMetric(float64(b.N*len(got))/b.Elapsed().Seconds(), "pairs/s")
	if err := writeJSON(filepath.Join(dir, "got.json"), got); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkBLEURT(b *testing.B) {
	dir, pairs := benchPairs(b)
	in := inputOf(pairs)
	m, err := openBLEURT(in.ctx, dir)
	if err != nil {
		b.Fatal(err)
	}
	defer m.close()
	got := make([]float64, len(pairs))
	for b.Loop() {
		logits, err := pairLogits(in, m.e, len(pairs), 1, func(i int) encoders.Text {
			return m.pair(text.Prepare(pairs[i][0]), text.Prepare(pairs[i][1]))
		})
		if err != nil {
			b.Fatal(err)
		}
		for i, l := range logits {
			got[i] = float64(l)
		}
	}
	finish(b, dir, got)
}

func BenchmarkAlignScore(b *testing.B) {
	dir, pairs := benchPairs(b)
	in := inputOf(pairs)
	m, err := alignscore{}.open(in.ctx, dir, false)
	if err != nil {
		b.Fatal(err)
	}
	defer m.close()
	p, err := punkt.English()
	if err != nil {
		b.Fatal(err)
	}
	var got []float64
	for b.Loop() {
		var all []*alignPair
		for _, x := range pairs {
			all = append(all, newAlignPair(p, x[0], x[1]))
		}
		if got, err = m.scores(in, all); err != nil {
			b.Fatal(err)
		}
	}
	finish(b, dir, got)
}
