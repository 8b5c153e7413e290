package nn

import "lightbox/kernels/tensor"

// Stack runs n layers one after another, x = layer(i, x, more...), and frees on the way what neither a later layer nor a
// recorded backward reads, so that a pass holds the memory of one layer at a time. With checkpoint a recorded layer keeps
// x and more only, and the backward runs it again.
//
// keep, unless nil, is asked for every result whether somebody outside reads it: x after i layers. What layer uses of the
// pass besides parameters and caches must be among more where checkpoint is set.
func Stack(n int, checkpoint bool, keep func(i int, x *tensor.Tensor) bool, layer func(i int, xs ...*tensor.Tensor) *tensor.Tensor, x *tensor.Tensor, more ...*tensor.Tensor) *tensor.Tensor {
	tape := x.Tape()
	first := x
	for i := range n {
		run := func(xs ...*tensor.Tensor) *tensor.Tensor { return layer(i, xs...) }
		in := append([]*tensor.Tensor{x}, more...)
		held := keep != nil && keep(i, x)
		var y *tensor.Tensor
		if checkpoint && tape.Recording() {
			y = tape.Checkpoint(run, in...)
		} else {
			y = tape.Scope(run, in...)
		}
		if !held && !x.Shares(first) {
			tape.Drop(x)
		}
		x = y
	}
	if keep != nil {
		keep(n, x)
	}
	return x
}
