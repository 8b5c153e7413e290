package generate

import (
	"context"
	"testing"

	"lightbox/stdlib/data"
	"lightbox/stdlib/internal/testmodel"
)

// BenchmarkGreedy writes 64 captions of 64 tokens with a model of the embedded checkpoint's size, all at once:
//
//	go test ./stdlib/generate -run - -bench Greedy -benchtime 1x -cpuprofile cpu.out
func BenchmarkGreedy(b *testing.B) {
	base, set := testmodel.Tiny(), data.Phantom(data.PhantomOptions{Test: 64, Seed: 1})
	r := &testmodel.Runner{Dir: b.TempDir(), Seed: 1}
	for _, ref := range append(base.All()[0].Refs(), set.Ref()) {
		if _, err := r.Run(context.Background(), ref); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for i := range b.N {
		o := Greedy(64 + i).Batch(64)
		if _, err := r.Run(context.Background(), captionRef(base, set.Ref(), o)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(64*b.N), "ms/caption")
}
