package cpu

// Costs that decide how a product is split; only time depends on them.
const (
	splitWork = 1 << 18 // multiply-adds that pay for handing a part to another goroutine
	splitRows = 96      // rows below which a part would spend too much of its time packing its columns of B
	splitEach = 3       // parts per goroutine, so that a slow core does not hold up the others
)

// gemmSplit computes C by parts, whose sizes are multiples of tileM and tileN but at the edges. K is never split.
//
// Every part packs its own columns of B, so packing is parallel and needs no barrier. Columns are split first, since parts
// of different columns pack nothing twice.
func gemmSplit(g GemmArgs, tileM, tileN int, part func(g GemmArgs, i0, i1, j0, j1 int)) {
	parts := min(Threads()*splitEach, g.M*g.N/max(1, splitWork/max(1, g.K)))
	if Threads() == 1 || parts <= 1 {
		part(g, 0, g.M, 0, g.N)
		return
	}
	nParts := min(parts, (g.N+tileN-1)/tileN)
	mParts := 1
	if g.M >= 2*splitRows {
		mParts = min(g.M/splitRows, parts)
		nParts = min(nParts, max(1, parts/mParts))
	}
	Parallel(mParts*nParts, 1, func(lo, hi int) {
		for q := lo; q < hi; q++ {
			i, j := q/nParts, q%nParts
			i0, i1 := cut(g.M, mParts, i, tileM), cut(g.M, mParts, i+1, tileM)
			j0, j1 := cut(g.N, nParts, j, tileN), cut(g.N, nParts, j+1, tileN)
			if i0 < i1 && j0 < j1 {
				part(g, i0, i1, j0, j1)
			}
		}
	})
}

// cut is where part q of parts begins in [0, n), at a multiple of tile.
func cut(n, parts, q, tile int) int {
	if q == parts {
		return n
	}
	units := (n + tile - 1) / tile
	return min(n, units*q/parts*tile)
}

// gemvCached is the number of elements from which a float32 B is taken to come from memory. Then eight rows at a time are
// faster than sixteen: fewer streams suit the prefetchers, and one chain of sums keeps up with memory.
const gemvCached = 2 << 20
