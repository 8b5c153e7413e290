package tokenizer

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestBench is the Go side of testdata/bench.py, which names a tokenizer and a file of texts.
func TestBench(t *testing.T) {
	name, file, ok := strings.Cut(os.Getenv("LIGHTBOX_BENCH"), "=")
	if !ok {
		t.Skip("run by testdata/bench.py")
	}
	data, err := os.ReadFile(os.Getenv("LIGHTBOX_BENCH_TEXTS"))
	if err != nil {
		t.Fatal(err)
	}
	texts := strings.Split(string(data), "\n")
	tok, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	cpu := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
	}
	for _, warm := range []string{"cold", "warm"} {
		at, tokens := cpu(), 0
		for _, s := range texts {
			tokens += len(tok.Encode(s, false))
		}
		s := cpu() - at
		fmt.Printf("%s %s go    %d tokens %.3f s %.2f M tokens/s\n", name, warm, tokens, s, float64(tokens)/s/1e6)
	}
}

// BenchmarkEncode encodes made-up texts of all kinds.
func BenchmarkEncode(b *testing.B) {
	f := loadFragments(b)
	for name, tok := range map[string]*Tokenizer{"llama": loadVariants(b)["llama"], "qwen": loadVariants(b)["qwen"]} {
		b.Run(name, func(b *testing.B) {
			texts := make([]string, 1000)
			for i := range texts {
				texts[i] = f.text(i)
			}
			n := 0
			for i := 0; b.Loop(); i++ {
				n += len(tok.Encode(texts[i%len(texts)], true))
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
