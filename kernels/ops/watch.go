package ops

import (
	"sync/atomic"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

var watcher atomic.Pointer[func(kernel string, ts []*tensor.Tensor)]

// Watch calls see after every kernel of the process with its name and the tensors that it touched, nil among them for
// arguments left out, until stop is called. It is for finding what went wrong: see may read the tensors (Finite, Floats),
// and must launch nothing.
func Watch(see func(kernel string, ts []*tensor.Tensor)) (stop func()) {
	watcher.Store(&see)
	return func() { watcher.Store(nil) }
}

// Finite tells whether every element of t (f32) is a number and no infinity. It launches no kernel.
func Finite(t *tensor.Tensor) bool {
	floats("finite", "t", t)
	m := t.Device().Memory()
	if _, ok := m.(*meta); ok {
		return true
	}
	m.Begin()
	defer m.End()
	return cpu.Finite(f32(t))
}
