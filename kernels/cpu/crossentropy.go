package cpu

// Cross-entropy of rows of logits against one target each:
//
//	nll = log Σ e^(x−max) − (x[target] − max)
//
// The backward writes or adds (softmax − onehot)·scale; softmax is recomputed from the logits and their log-sum-exp.

// CrossEntropyForward writes nll (rows), max (rows) and sum (rows): the row's greatest logit and Σ e^(x−max).
func CrossEntropyForward(nll, max, sum, logits []float32, targets []int32, v int) {
	Parallel(len(nll), rowGrain(v), func(lo, hi int) {
		buf := borrow(v)
		defer giveBack(buf)
		e := *buf
		for r := lo; r < hi; r++ {
			x := logits[r*v : (r+1)*v]
			max[r] = vec().maxRow(x)
			vec().expRow(e, x, max[r])
			sum[r] = vec().sumLanes(e)
			nll[r] = log(sum[r]) - (x[targets[r]] - max[r])
		}
	})
}

// CrossEntropyBackward adds to dlogits.
func CrossEntropyBackward(dlogits, logits, max, sum []float32, targets []int32, v int, scale float32) {
	Parallel(len(max), rowGrain(v), func(lo, hi int) {
		buf := borrow(v)
		defer giveBack(buf)
		e := *buf
		for r := lo; r < hi; r++ {
			vec().expRow(e, logits[r*v:(r+1)*v], max[r])
			d := dlogits[r*v : (r+1)*v]
			vec().axpy(d, scale/sum[r], e)
			d[targets[r]] -= scale
		}
	})
}
