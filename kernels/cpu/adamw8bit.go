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

// codes are the values of 8-bit codes, with a table that tells nearly where a number stands among them.
type codes struct {
	values [256]float32
	start  [1 << (32 - codeShift)]uint8 // by a number's upper bits: the last code whose value is not above any such number
}

// codeShift leaves sign, exponent and four bits of the fraction.
const codeShift = 19

func newCodes(values *[256]float32) *codes {
	c := &codes{values: *values}
	for i := range c.start {
		least := uint32(i) << codeShift // of a negative number, the one with all lower bits set
		if least>>31 == 1 {
			least |= 1<<codeShift - 1
		}
		n, _ := slices.BinarySearchFunc(c.values[:], math.Float32frombits(least), func(v, x float32) int {
			if v <= x {
				return -1
			}
			return 1
		})
		c.start[i] = uint8(max(0, n-1))
	}
	return c
}

// nearest is the code whose value is nearest to x, of -1 to 1; the lower of two equally near.
func (c *codes) nearest(x float32) uint8 {
	at := c.start[math.Float32bits(x)>>codeShift]
	for at < 255 && c.values[at+1] <= x {
		at++
	}
	if at < 255 && c.values[at+1]-x < abs32(x-c.values[at]) {
		at++
	}
	return at
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

func abs32(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// AdamW8bit is AdamW with moments of a byte an element: the code of a value of DynamicMap, signed for m and unsigned for
// v, that is scaled by the greatest magnitude of its block of StateBlock elements (mMax, vMax). Moments are widened,
// stepped as AdamW's are, used, and rounded to the nearest code (Dettmers et al., 2022). bitsandbytes 0.50.2 does the same
// (optimizer_update_8bit_blockwise); its CPU build rounds by a table of 65,536 values of [-1, 1] instead, which is coarser
// near zero, and its CUDA build keeps the sign of what rounds to zero.
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

// narrow rounds x to codes, times its greatest magnitude, which it gives; 1 where all are 0.
func narrow(out []uint8, x []float32, to *codes) float32 {
	most := float32(0)
	for _, v := range x {
		most = max(most, abs32(v))
	}
	if most == 0 {
		most = 1
	}
	for i, v := range x {
		out[i] = to.nearest(v / most)
	}
	return most
}
