package cpu

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// The maps are bitsandbytes' to the last bit (testdata/make_dynamic_map.py).
func TestDynamicMap(t *testing.T) {
	raw, err := os.ReadFile("testdata/dynamic_map.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct{ Signed, Unsigned []int32 }
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	for signed, want := range map[bool][]int32{true: g.Signed, false: g.Unsigned} {
		for i, v := range DynamicMap(signed) {
			if w := math.Float32frombits(uint32(want[i])); v != w {
				t.Errorf("signed %v: code %d is %v, want %v", signed, i, v, w)
			}
		}
	}
}

// Rounding is to within a step of the table of the nearest code, and zero beside greater values is not the code of zero.
func TestCodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []*codes{signedMap(), unsignedMap()} {
		for range 20_000 {
			x := float32(math.Exp(-16 * rng.Float64()))
			if c == signedMap() && rng.IntN(2) == 0 {
				x = -x
			}
			best := 0
			for i, v := range c.values {
				if abs32(x-v) < abs32(x-c.values[best]) {
					best = i
				}
			}
			if d := abs32(x-c.values[c.code(x)]) - abs32(x-c.values[best]); d > 3.1e-5 {
				t.Fatalf("%v has the code %d, whose value is %v further than that of %d", x, c.code(x), d, best)
			}
		}
		if c.values[c.code(0)] == 0 || c.code(1) != 255 {
			t.Errorf("0 has the code %d, 1 the code %d", c.code(0), c.code(1))
		}
	}
	tiny := []float32{1e-45, 0, 3e-45}
	out := make([]uint8, 3)
	if most := narrow(out, tiny, unsignedMap()); most != tiny[2] || out[2] != 255 {
		t.Errorf("subnormal numbers: scale %v, codes %v", most, out)
	}
	if most := narrow(out, make([]float32, 3), signedMap()); most != 0 || out[0] != 0 {
		t.Errorf("zeros: scale %v, codes %v", most, out)
	}
}

// No bit depends on the number of threads.
func TestOptimizersThreads(t *testing.T) {
	defer SetThreads(0)
	const rows, cols = 257, 301
	n := rows * cols
	run := func(threads int) []float32 {
		SetThreads(threads)
		rng := rand.New(rand.NewPCG(3, 4))
		p, g := make([]float32, n), make([]float32, n)
		for i := range p {
			p[i], g[i] = float32(rng.NormFloat64()), float32(rng.NormFloat64())
		}
		q := append([]float32(nil), p...)
		row, col, v, m := make([]float32, rows), make([]float32, cols), make([]float32, n), make([]float32, n)
		m8, v8 := make([]uint8, n), make([]uint8, n)
		mMax, vMax := make([]float32, (n+255)/256), make([]float32, (n+255)/256)
		flat := append([]float32(nil), p...)
		for step := 1; step <= 3; step++ {
			a := AdafactorArgs{LR: 1e-2, ScaleParameter: true, Eps1: 1e-30, Eps2: 1e-3, ClipThreshold: 1, DecayRate: -0.8, Beta1: 0.9, WeightDecay: 0.1, Step: step}
			Adafactor(p, g, m, row, col, nil, rows, cols, a)
			Adafactor(flat, g, nil, nil, nil, v, 0, 0, a)
			AdamW8bit(q, g, m8, v8, mMax, vMax, AdamWArgs{LR: 1e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, Step: step})
		}
		return append(append(append(append(p, flat...), q...), mMax...), vMax...)
	}
	want := run(1)
	for _, threads := range []int{2, 3, 8} {
		for i, v := range run(threads) {
			if v != want[i] {
				t.Fatalf("%d threads: element %d is %v, with one %v", threads, i, v, want[i])
			}
		}
	}
}

func BenchmarkOptimizers(b *testing.B) {
	const rows, cols = 1024, 1024
	n := rows * cols
	p, g := make([]float32, n), make([]float32, n)
	for i := range g {
		p[i], g[i] = float32(i%17), float32(i%13)-6
	}
	m, v := make([]float32, n), make([]float32, n)
	b.Run("adamw", func(b *testing.B) {
		for i := range b.N {
			AdamW(p, g, m, v, AdamWArgs{LR: 1e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Step: i + 1})
		}
	})
	m8, v8, mMax, vMax := make([]uint8, n), make([]uint8, n), make([]float32, n/256), make([]float32, n/256)
	b.Run("8bit", func(b *testing.B) {
		for i := range b.N {
			AdamW8bit(p, g, m8, v8, mMax, vMax, AdamWArgs{LR: 1e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Step: i + 1})
		}
	})
	row, col := make([]float32, rows), make([]float32, cols)
	b.Run("adafactor", func(b *testing.B) {
		for i := range b.N {
			Adafactor(p, g, nil, row, col, nil, rows, cols, AdafactorArgs{LR: 1e-2, Eps1: 1e-30, Eps2: 1e-3, ClipThreshold: 1, DecayRate: -0.8, Step: i + 1})
		}
	})
}
