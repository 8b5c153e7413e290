package idefics

import (
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn/llama"
)

// none is the sight of a token that sees no image.
const none int32 = -1

// sight tells which of a sequence's images each token sees: the latest before it, itself included; after an end token
// none, until the next image comes. It is image_attention_mask_for_packed_input_ids.
func sight(ids []int32, images int, image, end int32) []int32 {
	out := make([]int32, len(ids))
	seen, ended := none, false
	for i, id := range ids {
		if id == image {
			seen++
			ended = false
		}
		if out[i] = seen; ended || int(seen) >= images {
			out[i] = none
		}
		ended = ended || id == end
	}
	return out
}

// pass is which rows of one forward pass see which image. Segment s is the rows rows[starts[s]:starts[s+1]], which see
// one image.
type pass struct {
	rows   []int32
	starts []int
	keys   []int // first row of each segment's image in the memory that comes in, and M; nil: it stands in the caches

	caches []*cache  // of the sequences, nil without
	ends   []int     // rows of the memory that comes in, cumulative by sequence
	sees   [][]int32 // by sequence, what its new tokens see
	from   []*cache  // by segment, where its image stands
	image  []int     // by segment, which of that cache's images it is
	each   int       // rows of an image that are attended to
}

// newPass works out who sees what. Sequences with samples bring their images; tokens of sequences whose beginning is
// cached see what the last one sees, whatever they are, as in transformers' generate.
func newPass(b *model.Batch, image, end int32, each int) *pass {
	p := &pass{starts: []int{0}, ends: []int{0}, each: each}
	for _, kv := range b.KV {
		p.caches = append(p.caches, kv.(*cache))
	}
	row := 0
	for i, s := range b.Samples {
		sees := sight(s.IDs, s.Images, image, end)
		p.sees = append(p.sees, sees)
		for j := range s.Images {
			for t, seen := range sees {
				if int(seen) == j {
					p.rows = append(p.rows, int32(row+t))
				}
			}
			p.starts = append(p.starts, len(p.rows))
		}
		row += len(s.IDs)
		p.ends = append(p.ends, p.ends[i]+s.Images*each)
		if p.caches != nil {
			p.caches[i].expect(s.Images)
		}
	}
	for i := range len(p.starts) {
		p.keys = append(p.keys, i*each)
	}
	if b.Samples == nil {
		p.keys = nil
	}
	for i, t := range b.Tokens {
		c := p.caches[i]
		last := c.last()
		p.sees = append(p.sees, slices.Repeat([]int32{last}, len(t)))
		if last != none {
			for j := range t {
				p.rows = append(p.rows, int32(row+j))
			}
			p.starts = append(p.starts, len(p.rows))
			p.from, p.image = append(p.from, c), append(p.image, int(last))
		}
		row += len(t)
	}
	return p
}

// recall is block i's keys and values of each segment's image, (L, H, D) each.
func (p *pass) recall(i int) (ks, vs []*tensor.Tensor) {
	for s, c := range p.from {
		lo, hi := p.image[s]*p.each, (p.image[s]+1)*p.each
		ks, vs = append(ks, c.memory.k[i].Rows(lo, hi)), append(vs, c.memory.v[i].Rows(lo, hi))
	}
	return ks, vs
}

// remember puts the next block's keys and values (M, H, D) of the images that came in into the sequences' caches.
func (p *pass) remember(k, v *tensor.Tensor) {
	for i, c := range p.caches {
		if lo, hi := p.ends[i], p.ends[i+1]; hi > lo {
			c.memory.k, c.memory.v = append(c.memory.k, own(k.Rows(lo, hi))), append(c.memory.v, own(v.Rows(lo, hi)))
		}
	}
}

// own is a copy on no tape.
func own(x *tensor.Tensor) *tensor.Tensor {
	y := x.Device().Zeros(tensor.F32, x.Shape()...)
	ops.CopyInto(y, 0, x)
	return y
}

// done tells the caches what their new tokens see.
func (p *pass) done() {
	for i, c := range p.caches {
		c.sees = append(c.sees, p.sees[i]...)
	}
}

// cache is one sequence's keys and values: of its own tokens, and of its images, which are computed once.
type cache struct {
	*llama.KV
	sees   []int32 // by token, the image that it sees
	memory *memory // nil without images
}

// memory is cross-attention's keys and values. Copies of a cache share it.
type memory struct {
	k, v []*tensor.Tensor // per block (images*L, H, D)
	refs int
}

func (m *memory) release() {
	if m == nil {
		return
	}
	if m.refs--; m.refs > 0 {
		return
	}
	for i := range m.k {
		m.k[i].Free()
		m.v[i].Free()
	}
}

// expect makes room for a sequence that begins, with so many images.
func (c *cache) expect(images int) {
	c.memory.release()
	if c.memory = nil; images > 0 {
		c.memory = &memory{refs: 1}
	}
}

// last is what the last token sees.
func (c *cache) last() int32 {
	if len(c.sees) == 0 {
		return none
	}
	return c.sees[len(c.sees)-1]
}

// Bytes is the memory held, that of shared images included.
func (c *cache) Bytes() int64 {
	n := c.KV.Bytes()
	if c.memory != nil {
		for _, k := range c.memory.k {
			n += 2 * 4 * int64(k.Numel())
		}
	}
	return n
}

// Truncate forgets all but the first n tokens. The images stay.
func (c *cache) Truncate(n int) {
	c.KV.Truncate(n)
	c.sees = c.sees[:c.Len()]
}

// Clone returns an independent copy.
func (c *cache) Clone(capacity int) model.KV {
	out := &cache{KV: c.KV.Clone(capacity)}
	out.share(c)
	return out
}

// CopyFrom makes the cache a copy of src.
func (c *cache) CopyFrom(src model.KV) {
	c.KV.CopyFrom(src.(*cache).KV)
	c.share(src.(*cache))
}

func (c *cache) share(src *cache) {
	c.sees = append(c.sees[:0], src.sees...)
	if c.memory == src.memory {
		return
	}
	c.memory.release()
	if c.memory = src.memory; c.memory != nil {
		c.memory.refs++
	}
}

// Free hands the memory back.
func (c *cache) Free() {
	c.KV.Free()
	c.memory.release()
	c.memory = nil
}
