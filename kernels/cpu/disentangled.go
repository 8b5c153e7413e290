package cpu

// Disentangled attention (DeBERTa, He et al., 2021) over ragged sequences: the score of query i and key k also has what the
// content of each says about their distance δ = i−k,
//
//	softmax(scale·(Q_i·K_k + Q_i·PK_δ + K_k·PQ_δ))·V
//
// The tables PK and PQ hold their rows by descending distance, so that both added terms are runs of neighbours: row i of
// the scores is added a slice of Q_i·PKᵀ that begins one element later for each earlier i, and column k a diagonal of
// K·PQᵀ. Only distances that a block meets are multiplied: a block of 64 queries (or keys) of a sequence of T rows meets
// T+63 of them. Nothing of size T·T·D or T·(2·T) for all heads is made; a task holds the (T, T) scores of one head.
//
// A task is a sequence and a head, so a row depends on its sequence alone.

// DisentangledArgs describe rows qkv (N, Heads, 3, D), the query, key and value of each head side by side, and sequences s
// with the rows Start[s] … Start[s+1]. PK and PQ are (2·Span−1, Heads, D), row j for the distance Span−1−j; Span is at
// least the longest sequence. Either may be nil.
type DisentangledArgs struct {
	Heads, D int
	Start    []int
	PK, PQ   []float32
	Span     int
	Scale    float32
}

// DisentangledScratch bounds the bytes that a goroutine takes for a sequence of rows rows.
func DisentangledScratch(rows int) int {
	return 4 * (rows*rows + queryBlock*(rows+queryBlock))
}

// DisentangledForward writes dst (N, Heads, D).
func DisentangledForward(dst, qkv []float32, a DisentangledArgs) {
	seqs := len(a.Start) - 1
	work := 0
	for s := range seqs {
		n := a.Start[s+1] - a.Start[s]
		work += n * n * a.Heads * a.D * 4
	}
	tasks := seqs * a.Heads
	Parallel(tasks, max(1, tasks*(1<<19)/max(1, work)), func(lo, hi int) {
		for t := lo; t < hi; t++ {
			s, h := t/a.Heads, t%a.Heads
			if n := a.Start[s+1] - a.Start[s]; n > 0 {
				a.forward(dst, qkv, a.Start[s], n, h)
			}
		}
	})
}

// forward does head h of the n rows from row first on.
func (a *DisentangledArgs) forward(dst, qkv []float32, first, n, h int) {
	ld := a.Heads * 3 * a.D
	at := first*ld + h*3*a.D
	q, k, v := qkv[at:], qkv[at+a.D:], qkv[at+2*a.D:]
	buf, part := borrow(n*n), borrow(min(queryBlock, n)*(n+queryBlock))
	defer giveBack(buf)
	defer giveBack(part)
	s := *buf // (n, n)
	Gemm(GemmArgs{M: n, N: n, K: a.D, A: q, LDA: ld, B: Mat{F32: k}, LDB: ld, TransB: true, C: s})
	for i := 0; i < n; i += queryBlock {
		m := min(queryBlock, n-i)
		if a.PK != nil {
			// Distances from i+m−1 down to i−(n−1): query i+r and key c meet in column m−1−r+c.
			w := a.distances(*part, q[i*ld:], a.PK, h, m, n, a.Span-i-m)
			for r := range m {
				row := s[(i+r)*n : (i+r+1)*n]
				vec().add(row, row, (*part)[r*w+m-1-r:][:n])
			}
		}
		if a.PQ != nil {
			// Distances from n−1−i down to −(i+m−1): query r and key i+c meet in column n−1−r+c.
			w := a.distances(*part, k[i*ld:], a.PQ, h, m, n, a.Span-n+i)
			for r := range n {
				row, p := s[r*n+i:r*n+i+m], (*part)[n-1-r:]
				for c := range row {
					row[c] += p[c*(w+1)]
				}
			}
		}
	}
	y := first*a.Heads*a.D + h*a.D
	a.weigh(dst[y:], s, v, n, ld)
}

// distances writes part (m, w) = x·tableᵀ for the w = n+m−1 rows of a table from row j on, and gives w.
func (a *DisentangledArgs) distances(part, x, table []float32, h, m, n, j int) (w int) {
	w = n + m - 1
	ld := a.Heads * a.D
	Gemm(GemmArgs{M: m, N: w, K: a.D, A: x, LDA: 3 * ld, B: Mat{F32: table[j*ld+h*a.D:]}, LDB: ld, TransB: true, C: part})
	return w
}

// weigh writes y = softmax(scale·s)·v, for one head.
func (a *DisentangledArgs) weigh(y, s, v []float32, n, ldv int) {
	ld := a.Heads * a.D
	sums := borrow(n)
	defer giveBack(sums)
	vec().scale(s, s, a.Scale)
	for r := range n {
		row := s[r*n : (r+1)*n]
		vec().expRow(row, row, vec().maxRow(row))
		(*sums)[r] = vec().sumLanes(row)
	}
	Gemm(GemmArgs{M: n, N: a.D, K: n, A: s, B: Mat{F32: v}, LDB: ldv, C: y, LDC: ld})
	for r := range n {
		row := y[r*ld : r*ld+a.D]
		vec().scale(row, row, 1/(*sums)[r])
	}
}
