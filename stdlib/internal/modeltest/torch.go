package modeltest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/internal/torchtest"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/safetensors"
)

// InTorchFiles turns every safetensors file of a checkpoint into a pytorch_model.bin, some matrices transposed.
func InTorchFiles(t testing.TB, dir string) {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	names := strings.NewReplacer("model", "pytorch_model", ".safetensors", ".bin")
	for _, path := range list {
		a, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var out []safetensors.Tensor
		for _, n := range a.Names() {
			info, _ := a.Info(n)
			out = append(out, safetensors.Tensor{Name: n, DType: info.DType, Shape: info.Shape, Data: func() []byte { return a.Bytes(n) }})
		}
		raw := torchtest.File(t, out, func(n string) bool { return strings.HasSuffix(n, "q_proj.weight") })
		Put(t, filepath.Join(dir, names.Replace(filepath.Base(path))), raw)
		if err := errors.Join(a.Close(), os.Remove(path)); err != nil {
			t.Fatal(err)
		}
	}
	index := filepath.Join(dir, "model.safetensors.index.json")
	raw, err := os.ReadFile(index)
	if err != nil {
		return
	}
	shards := strings.NewReplacer("model-", "pytorch_model-", ".safetensors", ".bin")
	Put(t, filepath.Join(dir, "pytorch_model.bin.index.json"), []byte(shards.Replace(string(raw))))
	if err := os.Remove(index); err != nil {
		t.Fatal(err)
	}
}

// testTorchFiles loads the checkpoint from pytorch_model.bin, or its shards: the same bits.
func testTorchFiles(t *testing.T, f Family, name string, want model.Model) {
	dir := f.Checkpoint(t, name)
	InTorchFiles(t, dir)
	if err := f.Check(dir); err != nil {
		t.Fatal(err)
	}
	got, err := f.Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range append(got.Params(), got.Buffers()...) {
		w := append(want.Params(), want.Buffers()...)[i]
		if p.T().DType() != w.T().DType() || !bytes.Equal(ops.Bytes(p.T()), ops.Bytes(w.T())) {
			t.Errorf("%s differs", p.Name)
		}
	}
}
