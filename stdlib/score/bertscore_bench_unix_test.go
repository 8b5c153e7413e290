//go:build unix

package score

import (
	"os"
	"strconv"
	"syscall"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/score/encoders"
)

// BenchmarkBERTScore scores the pairs of real captions that testdata/bench_bertscore.py gives to bert_score, with the
// checkpoint that it wrote: tokens, idf, encoding and matching, loading left out.
func BenchmarkBERTScore(b *testing.B) {
	dir := os.Getenv("LIGHTBOX_BERTSCORE")
	if dir == "" {
		b.Skip("testdata/bench_bertscore.py runs it, with LIGHTBOX_BERTSCORE naming a checkpoint")
	}
	number := func(key string) int {
		n, err := strconv.Atoi(os.Getenv(key))
		if err != nil {
			b.Fatalf("%s: %v", key, err)
		}
		return n
	}
	ops.SetThreads(number("LIGHTBOX_BERTSCORE_THREADS"))
	defer ops.SetThreads(0)
	lines := rocoLines(b)
	var pairs [][2]string
	for k := range number("LIGHTBOX_BERTSCORE_PAIRS") {
		pairs = append(pairs, rocoPair(lines, k))
	}
	m := bertscore{Layer: number("LIGHTBOX_BERTSCORE_LAYER")}
	in := inputOf(pairs)
	enc, err := encoders.Open(in.ctx, dir)
	if err != nil {
		b.Fatal(err)
	}
	used := func() float64 { // processor seconds of this process
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	before := used()
	for b.Loop() {
		c, err := m.cutter(enc)
		if err != nil {
			b.Fatal(err)
		}
		match, ps, where, err := m.matcher(in, enc, c)
		if err != nil {
			b.Fatal(err)
		}
		match.layer = m.Layer
		scores, err := match.score(in.ctx, ps)
		if err != nil {
			b.Fatal(err)
		}
		sum := 0.0
		for _, f := range m.values(in, scores, where)[F1] {
			sum += f / float64(len(pairs))
		}
		b.ReportMetric(sum, "F")
	}
	b.ReportMetric((used()-before)/float64(b.N), "cpu-s")
}
