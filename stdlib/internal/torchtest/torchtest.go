// Package torchtest writes files as torch.save does, for tests of what reads them. Torch loads them too, with
// weights_only=True.
package torchtest

import (
	"testing"

	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/torchfile"
)

// File is a state_dict in a zip archive, each tensor with a storage of its own at a multiple of 64 bytes. Matrices with
// more than one row and column are stored transposed where transpose says so, and read back through their strides.
func File(t testing.TB, tensors []safetensors.Tensor, transpose func(name string) bool) []byte {
	t.Helper()
	all := make([]torchfile.Tensor, len(tensors))
	for i, x := range tensors {
		all[i].Tensor = x
		if len(x.Shape) == 2 && transpose != nil && transpose(x.Name) {
			all[i].Data = func() []byte { return transposed(x.Data(), x.Shape[0], x.Shape[1], x.DType.Size()) }
			all[i].Strides = []int{1, x.Shape[0]}
		}
	}
	raw, err := torchfile.Encode(all, "")
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func transposed(data []byte, rows, cols, size int) []byte {
	out := make([]byte, 0, len(data))
	for c := range cols {
		for r := range rows {
			out = append(out, data[(r*cols+c)*size:][:size]...)
		}
	}
	return out
}
