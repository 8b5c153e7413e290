package cpu

import "testing"

// BenchmarkDropout is one chunk of a goroutine.
func BenchmarkDropout(b *testing.B) {
	x, y := make([]float32, elementGrain), make([]float32, elementGrain)
	b.SetBytes(4 * elementGrain)
	for b.Loop() {
		DropoutForward(y, x, DropoutArgs{P: 0.1, Seed: 1})
	}
}
