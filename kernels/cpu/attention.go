package cpu

import "sync"

// Attention is softmax(scale·QKᵀ)V over ragged sequences with grouped heads (Ainslie et al., 2023): query head h uses key
// head h/(H/K). With Causal, query i of a sequence of nq queries and nk keys sees keys 0 … nk−nq+i, so that a call
// with a cache (nk > nq) continues the sequence. With a Prefix p, every query of the sequence sees its first p keys besides.
//
// A row of the output depends on its query and the keys that it sees, never on how many queries a call has: scores come
// from Gemm (one accumulator per score), the sum of the exponentials runs in lanes over ascending keys, the values are
// added in ascending keys by Gemm; keys that a query does not see take part with weight 0, which changes no accumulator.
//
// Forward works on blocks of queries and keeps only the log-sum-exp parts of each row (max and sum). Backward recomputes
// the weights P from them and adds, per sequence and key head, in ascending query heads and blocks:
//
//	dV += Pᵀ·dO;  dP = dO·Vᵀ;  dS = P·(dP − Σ dO·O)·scale;  dQ += dS·K;  dK += dSᵀ·Q

// AttentionArgs describe q (N, Heads, D) and sequences s with queries QStart[s] … QStart[s+1] and keys K[s] and values
// V[s] (Keys[s], KVHeads, D) each, which may lie anywhere: in one tensor, or in a cache per sequence.
type AttentionArgs struct {
	Heads, KVHeads, D int
	QStart, Keys      []int
	K, V              [][]float32
	Causal            bool
	Prefix            []int // of each sequence, the keys that all its queries see; nil: none
	Scale             float32
	Max, Sum          []float32 // (N, Heads): of each row of scores
}

// queryBlock is how many queries are worked on at once.
const queryBlock = 64

// blockPool is a pool of float32 slices for blocks.
var blockPool = sync.Pool{New: func() any { return new([]float32) }}

// borrow gives n float32 with undefined contents until giveBack.
func borrow(n int) *[]float32 {
	p := blockPool.Get().(*[]float32)
	if cap(*p) < n {
		*p = make([]float32, n)
	}
	*p = (*p)[:n]
	return p
}

// AttentionScratch bounds the bytes that a goroutine takes for blocks, by the most keys of a sequence; more than two
// products are the backward.
func AttentionScratch(keys, products int) int {
	blocks := 1
	if products > 2 {
		blocks = 2
	}
	return 4 * blocks * queryBlock * keys
}

func giveBack(p *[]float32) { blockPool.Put(p) }

// block is a run of queries of one sequence and head.
type block struct {
	a                *AttentionArgs
	head             int
	q0, nq           int       // first row of q and number of rows
	nk               int       // the most keys that a row of the block sees
	see              int       // keys that the first row sees by its place
	prefix           int       // keys that every row sees
	k, v             []float32 // of the sequence and head, rows ldk apart
	ldq, ldk, qo, ko int       // row lengths; first elements within q and within the sequence's keys
}

// block makes the block of sequence s, head h and the queries from i on.
func (a *AttentionArgs) block(s, h, i int) block {
	nq, nk := a.QStart[s+1]-a.QStart[s], a.Keys[s]
	b := block{a: a, head: h, q0: a.QStart[s] + i, nq: min(queryBlock, nq-i), nk: nk, see: nk}
	if a.Causal {
		b.see = nk - nq + i + 1
		if a.Prefix != nil {
			b.prefix = min(a.Prefix[s], nk)
		}
		b.nk = max(b.see+b.nq-1, b.prefix)
	}
	b.ldq, b.ldk = a.Heads*a.D, a.KVHeads*a.D
	b.qo, b.ko = b.q0*b.ldq+h*a.D, h/(a.Heads/a.KVHeads)*a.D
	b.k, b.v = a.K[s][b.ko:], a.V[s][b.ko:]
	return b
}

// sees is the number of keys that row r of the block sees.
func (b *block) sees(r int) int {
	if b.a.Causal {
		return max(b.see+r, b.prefix)
	}
	return b.nk
}

// scores writes s (nq, nk) = scale·QKᵀ, without the mask.
func (b *block) scores(s, q []float32) {
	Gemm(GemmArgs{M: b.nq, N: b.nk, K: b.a.D, A: q[b.qo:], LDA: b.ldq, B: Mat{F32: b.k}, LDB: b.ldk, TransB: true, C: s, LDC: b.nk})
	vec().scale(s[:b.nq*b.nk], s[:b.nq*b.nk], b.a.Scale)
}

// AttentionForward writes dst (N, Heads, D), a.Max and a.Sum.
func AttentionForward(dst, q []float32, a AttentionArgs) {
	tasks := a.tasks(a.Heads)
	Parallel(len(tasks), a.grain(len(tasks)), func(lo, hi int) {
		for _, t := range tasks[lo:hi] {
			b := a.block(t.seq, t.head, t.at)
			b.forward(dst, q)
		}
	})
}

// grain is how many of the tasks make a chunk that pays for handing it to another goroutine: half a million multiply-adds.
func (a *AttentionArgs) grain(tasks int) int {
	work := 0
	for s, keys := range a.Keys {
		work += (a.QStart[s+1] - a.QStart[s]) * keys * a.Heads * a.D * 2
	}
	return max(1, tasks*(1<<19)/max(1, work))
}

// task is a block to do, or for the backward all blocks of a sequence and key head.
type task struct{ seq, head, at int }

// tasks lists the forward's blocks.
func (a *AttentionArgs) tasks(heads int) []task {
	var ts []task
	for s := range len(a.QStart) - 1 {
		for h := range heads {
			for i := 0; i < a.QStart[s+1]-a.QStart[s]; i += queryBlock {
				ts = append(ts, task{s, h, i})
			}
		}
	}
	return ts
}

func (b *block) forward(dst, q []float32) {
	a := b.a
	buf := borrow(b.nq * b.nk)
	defer giveBack(buf)
	s := *buf
	b.scores(s, q)
	for r := range b.nq {
		n := b.sees(r)
		row := s[r*b.nk : (r+1)*b.nk]
		m := vec().maxRow(row[:n])
		vec().expRow(row[:n], row[:n], m)
		clear(row[n:])
		at := (b.q0+r)*a.Heads + b.head
		a.Max[at], a.Sum[at] = m, vec().sumLanes(row[:n])
	}
	Gemm(GemmArgs{M: b.nq, N: a.D, K: b.nk, A: s, LDA: b.nk, B: Mat{F32: b.v}, LDB: b.ldk, C: dst[b.qo:], LDC: b.ldq})
	for r := range b.nq {
		y := dst[b.qo+r*b.ldq : b.qo+r*b.ldq+a.D]
		vec().scale(y, y, 1/a.Sum[(b.q0+r)*a.Heads+b.head])
	}
}

// AttentionBackward adds to dq and, per sequence, dk and dv (any may be nil) from dout and the forward's output out.
func AttentionBackward(dq []float32, dk, dv [][]float32, dout, out, q []float32, a AttentionArgs) {
	group := a.Heads / a.KVHeads
	seqs := len(a.QStart) - 1
	Parallel(seqs*a.KVHeads, a.grain(seqs*a.KVHeads), func(lo, hi int) {
		for t := lo; t < hi; t++ {
			s, kh := t/a.KVHeads, t%a.KVHeads
			var dks, dvs []float32
			if dk != nil {
				dks = dk[s]
			}
			if dv != nil {
				dvs = dv[s]
			}
			for h := kh * group; h < (kh+1)*group; h++ {
				for i := 0; i < a.QStart[s+1]-a.QStart[s]; i += queryBlock {
					b := a.block(s, h, i)
					b.backward(dq, dks, dvs, dout, out, q)
				}
			}
		}
	})
}

func (b *block) backward(dq, dk, dv, dout, out, q []float32) {
	a := b.a
	pbuf, dbuf := borrow(b.nq*b.nk), borrow(b.nq*b.nk)
	defer giveBack(pbuf)
	defer giveBack(dbuf)
	p, d := *pbuf, *dbuf
	b.scores(p, q)
	for r := range b.nq {
		n := b.sees(r)
		row := p[r*b.nk : (r+1)*b.nk]
		at := (b.q0+r)*a.Heads + b.head
		vec().expRow(row[:n], row[:n], a.Max[at])
		vec().scale(row[:n], row[:n], 1/a.Sum[at])
		clear(row[n:])
	}
	if dv != nil {
		Gemm(GemmArgs{M: b.nk, N: a.D, K: b.nq, A: p, LDA: b.nk, TransA: true, B: Mat{F32: dout[b.qo:]}, LDB: b.ldq, C: dv[b.ko:], LDC: b.ldk, Accumulate: true})
	}
	if dq == nil && dk == nil {
		return
	}
	Gemm(GemmArgs{M: b.nq, N: b.nk, K: a.D, A: dout[b.qo:], LDA: b.ldq, B: Mat{F32: b.v}, LDB: b.ldk, TransB: true, C: d, LDC: b.nk})
	for r := range b.nq {
		n := b.sees(r)
		o := b.qo + r*b.ldq
		delta := vec().dot(dout[o:o+a.D], out[o:o+a.D])
		pr, dr := p[r*b.nk:r*b.nk+n], d[r*b.nk:r*b.nk+n]
		vec().scoreBack(dr, pr, delta, a.Scale)
		clear(d[r*b.nk+n : (r+1)*b.nk])
	}
	if dq != nil {
		Gemm(GemmArgs{M: b.nq, N: a.D, K: b.nk, A: d, LDA: b.nk, B: Mat{F32: b.k}, LDB: b.ldk, C: dq[b.qo:], LDC: b.ldq, Accumulate: true})
	}
	if dk != nil {
		Gemm(GemmArgs{M: b.nk, N: a.D, K: b.nq, A: d, LDA: b.nk, TransA: true, B: Mat{F32: q[b.qo:]}, LDB: b.ldq, C: dk[b.ko:], LDC: b.ldk, Accumulate: true})
	}
}

// scoreBackGo is d = p·(d − delta)·scale.
func scoreBackGo(d, p []float32, delta, scale float32) {
	p = p[:len(d)]
	for i, w := range p {
		d[i] = float32(w*(d[i]-delta)) * scale
	}
}
