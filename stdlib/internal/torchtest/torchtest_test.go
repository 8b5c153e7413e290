package torchtest

import (
	"bytes"
	"os"
	"testing"

	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/torchfile"
)

// TestFile reads back what File writes. With LIGHTBOX_REFERENCE_OUT the file is left there, for torch:
//
//	torch.load(path, weights_only=True, mmap=True)
func TestFile(t *testing.T) {
	w := []float32{1, 2, 3, 4, 5, 6}
	raw := File(t, []safetensors.Tensor{
		safetensors.Float32("rows", safetensors.F32, []int{2, 3}, w), safetensors.Float32("columns", safetensors.F32, []int{2, 3}, w),
		safetensors.Float32("bf16", safetensors.BF16, []int{6}, w),
	}, func(name string) bool { return name == "columns" })
	if path := os.Getenv("LIGHTBOX_REFERENCE_OUT"); path != "" {
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	a, err := torchfile.Parse("test", raw)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes("rows"), a.Bytes("columns")) || !bytes.Equal(a.Bytes("rows"), safetensors.PackF32(w)) || !bytes.Equal(a.Bytes("bf16"), safetensors.PackBF16(w)) {
		t.Error(a.Bytes("rows"), a.Bytes("columns"), a.Bytes("bf16"))
	}
}
