package score

import (
	"os"
	"path/filepath"
	"syscall"
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

// seconds are those that the process has computed, which other processes do not lengthen.
func seconds(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func finish(b *testing.B, dir string, start float64, got []float64) {
	b.ReportMetric(float64(b.N*len(got))/(seconds(b)-start), "pairs/s")
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
	start := seconds(b)
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
	finish(b, dir, start, got)
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
	start := seconds(b)
	for b.Loop() {
		var all []*alignPair
		for _, x := range pairs {
			all = append(all, newAlignPair(p, x[0], x[1]))
		}
		if got, err = m.scores(in, all); err != nil {
			b.Fatal(err)
		}
	}
	finish(b, dir, start, got)
}
