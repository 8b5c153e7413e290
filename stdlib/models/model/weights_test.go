package model

import (
	"bytes"
	"encoding/binary"
	"math"
	"path/filepath"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

// TestLoadWeightsKeepsTypes: matrices stay as they are stored, bit by bit (binary16 with its subnormals and infinities),
// vectors are widened, and what training copies has the same values in f32.
func TestLoadWeightsKeepsTypes(t *testing.T) {
	const n, k = 64, 512
	var half []byte
	for h := range n * k {
		half = binary.LittleEndian.AppendUint16(half, uint16(2*h)) // every other number, both signs
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	raw := func(name string, dt safetensors.DType, data []byte, shape ...int) safetensors.Tensor {
		return safetensors.Tensor{Name: name, DType: dt, Shape: shape, Data: func() []byte { return data }}
	}
	if err := safetensors.Write(path, []safetensors.Tensor{
		raw("half", safetensors.F16, half, n, k), raw("brain", safetensors.BF16, half, n, k), raw("wide", safetensors.F16, half[:2*k], k),
		raw("single", safetensors.F32, half, n, k/2), raw("double", safetensors.F64, half[:512], 8, 8),
	}, nil); err != nil {
		t.Fatal(err)
	}
	a, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	want := map[string]tensor.DType{"half": tensor.F16, "brain": tensor.BF16, "wide": tensor.F32, "single": tensor.F32, "double": tensor.F32}
	var params []nn.Named
	for _, name := range a.Names() {
		info, _ := a.Info(name)
		params = append(params, nn.Named{Name: name, Param: &nn.Param{Shape: info.Shape, Wide: len(info.Shape) == 1}})
	}
	dev := ops.CPU()
	used, _, _ := dev.Usage()
	if err := LoadWeights(t.Context(), a, params, Names{Canonical: func(s string) string { return s }}); err != nil {
		t.Fatal(err)
	}
	if now, _, _ := dev.Usage(); now-used > 8192 {
		t.Errorf("loading took %d bytes besides the mapped file", now-used)
	}
	for _, p := range params {
		x := p.T()
		if x.DType() != want[p.Name] {
			t.Errorf("%s is %v; want %v", p.Name, x.DType(), want[p.Name])
		}
		if p.Name != "double" && p.Name != "wide" && !bytes.Equal(ops.Bytes(x), a.Bytes(p.Name)) {
			t.Errorf("%s changed its bits", p.Name)
		}
		floats, err := a.Floats(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range ops.Floats(x) {
			if v != floats[i] && !(math.IsNaN(float64(v)) && math.IsNaN(float64(floats[i]))) {
				t.Fatalf("%s: element %d is %v; want %v", p.Name, i, v, floats[i])
			}
		}
	}
}
