package train

import (
	"context"
	"testing"

	"lightbox/stdlib/data"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/lora"
)

// BenchmarkLoRA is two epochs over 200 phantoms with a model of the embedded checkpoint's size, in steps of 8:
//
//	go test ./stdlib/train -run - -bench LoRA -benchtime 1x -cpuprofile cpu.out
func BenchmarkLoRA(b *testing.B) {
	base, set := testmodel.Tiny(), data.Phantom(data.PhantomOptions{Train: 200, Seed: 1})
	r := &testmodel.Runner{Dir: b.TempDir(), Seed: 1}
	for _, ref := range append(base.All()[0].Refs(), set.Ref()) {
		if _, err := r.Run(context.Background(), ref); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for i := range b.N {
		c := Config{Epochs: 2, BatchSize: 8, LR: 1e-3, Seed: uint64(i + 1)}
		if _, err := r.Run(context.Background(), loraRef(base, set.Ref(), lora.Config{Rank: 16}, c)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(400*b.N), "ms/example")
}
