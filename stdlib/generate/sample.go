package generate

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"sort"
)

// A chooser picks the next token of one caption from its logits. It has its own source of randomness, keyed by the
// example, so that a caption does not depend on its neighbours.
type chooser struct {
	o   Options
	rng *rand.Rand
}

func newChooser(o Options, id string) *chooser {
	h := fnv.New64a()
	h.Write([]byte(id))
	return &chooser{o, rand.New(rand.NewPCG(o.Seed, h.Sum64()))}
}

func (c *chooser) next(logits []float32) int32 {
	if c.o.Temperature == 0 {
		return argmax(logits)
	}
	return c.draw(logits)
}

// argmax is the first of the largest, as torch.argmax gives on the CPU.
func argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}

// draw samples from softmax(logits/temperature) after top-k, then top-p, in transformers' order: the smallest set of
// likeliest tokens whose probability reaches p is kept, one at least. Ties in rank go to the smaller id.
func (c *chooser) draw(logits []float32) int32 {
	ids := make([]int32, len(logits))
	for i := range ids {
		ids[i] = int32(i)
	}
	sort.SliceStable(ids, func(a, b int) bool { return logits[ids[a]] > logits[ids[b]] })
	if c.o.TopK > 0 && c.o.TopK < len(ids) {
		ids = ids[:c.o.TopK]
	}
	top := float64(logits[ids[0]])
	p := make([]float64, len(ids))
	sum := 0.0
	for i, id := range ids {
		p[i] = math.Exp((float64(logits[id]) - top) / c.o.Temperature)
		sum += p[i]
	}
	if c.o.TopP > 0 && c.o.TopP < 1 {
		kept := 0.0
		for i := range p {
			kept += p[i]
			if kept >= c.o.TopP*sum {
				ids, p, sum = ids[:i+1], p[:i+1], kept
				break
			}
		}
	}
	u := c.rng.Float64() * sum
	for i := range p {
		if u -= p[i]; u < 0 {
			return ids[i]
		}
	}
	return ids[len(ids)-1]
}
