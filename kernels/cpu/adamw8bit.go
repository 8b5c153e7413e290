package cpu

import (
	"math"
	"slices"
	"sync"
)

// StateBlock is the number of elements that share a scale in 8-bit optimiser state.
const StateBlock = 256

// DynamicMap is the 256 values, ascending, that an 8-bit code of optimiser state stands for, times its block's greatest
// magnitude: seven decades whose numbers of steps double upwards, zero and one (Dettmers, 2016; bitsandbytes 0.50.2,
// create_dynamic_map). Unsigned maps have twice as many steps in each decade.
func DynamicMap(signed bool) *[256]float32 {
	if signed {
		return &signedMap().values
	}
	return &unsignedMap().values
}

var (
	signedMap   = sync.OnceValue(func() *codes { return newCodes(dynamicMap(true)) })
	unsignedMap = sync.OnceValue(func() *codes { return newCodes(dynamicMap(false)) })
)

// codes are the values of 8-bit codes, and a table of the codes nearest to 65,536 numbers from -1 to 1.
type codes struct {
	values [256]float32
	table  [1 << 16]uint8
}

func newCodes(values *[256]float32) *codes {
	c := &codes{values: *values}
	at := 0
	for i := range c.table {
		x := float32(float32(i)/tableHalf) - 1
		for at < 255 && abs32(c.values[at+1]-x) < abs32(c.values[at]-x) {
			at++
		}
		c.table[i] = uint8(at)
	}
	return c
}

const tableHalf = (1<<16 - 1) / 2.0

// code is that of x, of -1 to 1, by the nearest number of the table.
func (c *codes) code(x float32) uint8 {
	return c.table[uint16(float32(float32(x+1)*tableHalf)+0.5)]
}

func dynamicMap(signed bool) *[256]float32 {
	const decades = 7
	values := []float32{0, 1}
	for i := range decades {
		n := 1 << i
		if !signed {
			n *= 2
		}
		edges := linspace(0.1, 1, n+1)
		scale := float32(math.Pow(10, float64(i-decades+1)))
		for k := range n {
			x := scale * (float32(edges[k]+edges[k+1]) / 2)
			values = append(values, x)
			if signed {
				values = append(values, -x)
			}
		}
	}
	slices.Sort(values)
	return (*[256]float32)(values)
}

// linspace is torch.linspace in float32: counted from the nearer end, by fused multiplication and addition.
func linspace(lo, hi float32, n int) []float32 {
	step := (hi - lo) / float32(n-1)
	out := make([]float32, n)
	for i := range out {
		if i < n/2 {
			out[i] = float32(float64(lo) + float64(step)*float64(i))
		} else {
			out[i] = float32(float64(hi) - float64(step)*float64(n-1-i))
		}
	}
	return out
}

// AdamW8bit is AdamW with moments of a byte an element: the code of a value of DynamicMap, signed for m and unsigned for
// v, that is scaled by the greatest magnitude of its block of StateBlock elements (mMax, vMax). Moments are widened,
// stepped as AdamW's are, used, and rounded to codes again (Dettmers et al., 2022), as bitsandbytes 0.50.2 does on a CPU
// (backends/cpu, optimizer_update_8bit_blockwise): rounding goes by a table of evenly spaced numbers, so that no value
// beside greater ones is rounded to zero. On a GPU bitsandbytes rounds to the nearest code; a second moment that becomes
// zero there lets the first one throw its parameter far away.
func AdamW8bit(p, g []float32, m, v []uint8, mMax, vMax []float32, a AdamWArgs) {
	s := adamWOf(a)
	b1 := float32(a.Beta1)
	signed, unsigned := signedMap(), unsignedMap()
	Parallel(len(mMax), elementGrain/StateBlock, func(lo, hi int) {
		var wide [2][StateBlock]float32
		for b := lo; b < hi; b++ {
			from := b * StateBlock
			to := min(len(p), from+StateBlock)
			ms, vs := wide[0][:to-from], wide[1][:to-from]
			for i := range ms {
				at := from + i
				gi := g[at]
				ms[i] = float32(float32(signed.values[m[at]]*mMax[b])*b1) + float32(s.w1*gi)
				vs[i] = float32(float32(unsigned.values[v[at]]*vMax[b])*s.b2) + float32(float32(s.w2*gi)*gi)
				p[at] = float32(p[at]*s.decay) + float32(s.step*ms[i])/(sqrt(vs[i])/s.root+s.eps)
			}
			mMax[b] = narrow(m[from:to], ms, signed)
			vMax[b] = narrow(v[from:to], vs, unsigned)
		}
	})
}

// narrow rounds x to codes of values that are scaled by its greatest magnitude, which it gives.
func narrow(out []uint8, x []float32, to *codes) float32 {
	most := float32(0)
	for _, v := range x {
		most = max(most, abs32(v))
	}
	if most == 0 {
		clear(out)
		return 0
	}
	scale := 1 / most
	if math.IsInf(float64(scale), 0) { // of a subnormal number
		for i, v := range x {
			out[i] = to.code(v / most)
		}
		return most
	}
	for i, v := range x {
		out[i] = to.code(max(-1, min(1, float32(v*scale))))
	}
	return most
}

func abs32(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }
