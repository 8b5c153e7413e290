package generate

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"sort"
)

// A sampler draws the tokens of one caption. It has its own source of randomness, keyed by the example, so that a caption
// does not depend on its neighbours.
type sampler struct {
	o   Options
	rng *rand.Rand
}

// newSampler is nil where nothing is drawn.
func newSampler(o Options, id string) *sampler {
	if o.Temperature == 0 {
		return nil
	}
	h := fnv.New64a()
	h.Write([]byte(id))
	return &sampler{o, rand.New(rand.NewPCG(o.Seed, h.Sum64()))}
}

// next samples from softmax(logits/temperature) after top-k, then top-p, in transformers' order: the smallest set of
// likeliest tokens whose probability reaches p is kept, one at least. Ties in rank go to the smaller id.
func (c *sampler) next(logits []float32) int32 {
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
