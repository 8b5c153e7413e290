package nn

import (
	"hash/fnv"
	"math"

	"lightbox/kernels/tensor"
)

// Random is a counter-based generator: draw i of a named stream is a pure
// function of seed, name and i, so what is drawn depends neither on the order
// of the draws nor on how many others were made. The mixing function is
// splitmix64 (Steele, Lea and Flood, 2014).
type Random struct{ key uint64 }

// NewRandom returns the stream of that name.
func NewRandom(seed uint64, name string) Random {
	h := fnv.New64a()
	h.Write([]byte(name)) // never fails
	return Random{mix(mix(seed) ^ h.Sum64())}
}

func mix(z uint64) uint64 {
	z += 0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// Uniform is draw i, in [0, 1) with 53 bits.
func (r Random) Uniform(i uint64) float64 {
	return float64(mix(r.key+i*0x9E3779B97F4A7C15)>>11) / (1 << 53)
}

// Normal is draw i of a standard normal distribution (Box and Muller).
func (r Random) Normal(i uint64) float64 {
	u, v := 1-r.Uniform(2*i), r.Uniform(2*i+1) // u in (0, 1]
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}

// Draw returns the parameter's initial values: ones, zeros, or normal with its
// standard deviation, std where it has none of its own.
func (p *Param) Draw(r Random, std float64) []float32 {
	if p.Std != 0 {
		std = p.Std
	}
	out := make([]float32, p.Numel())
	switch p.Init {
	case InitOnes:
		for i := range out {
			out[i] = 1
		}
	case InitNormal:
		for i := range out {
			out[i] = float32(std * r.Normal(uint64(i)))
		}
	}
	return out
}

// Randomize gives every parameter a fresh f32 tensor on dev, drawn from the
// stream of its name.
func Randomize(dev *tensor.Device, params []Named, seed uint64, std float64) {
	for _, p := range params {
		p.Tensor = dev.FromFloats(p.Draw(NewRandom(seed, p.Name), std), p.Shape...)
		p.Tensor.SetName(p.Name)
	}
}

// heStd is the standard deviation that keeps the variance of activations behind a ReLU (He et al., 2015).
func heStd(fan int) float64 { return math.Sqrt(2 / float64(fan)) }
