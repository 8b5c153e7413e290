// Package torchtest writes files as torch.save does, for tests of what reads them. Torch loads them too, with
// weights_only=True.
package torchtest

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"lightbox/stdlib/safetensors"
)

var storages = map[safetensors.DType]string{
	safetensors.F64: "DoubleStorage", safetensors.F32: "FloatStorage", safetensors.F16: "HalfStorage", safetensors.BF16: "BFloat16Storage",
	safetensors.I64: "LongStorage",
}

// File is a state_dict in a zip archive, each tensor with a storage of its own at a multiple of 64 bytes. Matrices with
// more than one row and column are stored transposed where transpose says so, and read back through their strides.
func File(t testing.TB, tensors []safetensors.Tensor, transpose func(name string) bool) []byte {
	t.Helper()
	var p, out bytes.Buffer
	z := zip.NewWriter(&out)
	put := func(name string, data []byte) {
		h := &zip.FileHeader{Name: "archive/" + name, Method: zip.Store}
		if err := z.Flush(); err != nil {
			t.Fatal(err)
		}
		gap := -(out.Len() + 30 + len(h.Name) + 4) & 63
		h.Extra = binary.LittleEndian.AppendUint16([]byte("FB"), uint16(gap))
		h.Extra = append(h.Extra, strings.Repeat("Z", gap)...)
		h.CompressedSize64, h.UncompressedSize64 = uint64(len(data)), uint64(len(data))
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	number := func(n int) { p.WriteString("J" + string(binary.LittleEndian.AppendUint32(nil, uint32(n)))) }
	text := func(s string) {
		p.WriteString("X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s)
	}
	p.WriteString("\x80\x02ccollections\nOrderedDict\n)R(")
	for i, x := range tensors {
		shape, strides, numel := x.Shape, make([]int, len(x.Shape)), 1
		for d := len(shape) - 1; d >= 0; d-- {
			strides[d] = numel
			numel *= shape[d]
		}
		data := x.Data()
		if len(shape) == 2 && transpose != nil && transpose(x.Name) {
			data = transposed(data, shape[0], shape[1], x.DType.Size())
			strides = []int{1, shape[0]}
		}
		put(fmt.Sprint("data/", i), data)
		text(x.Name)
		p.WriteString("ctorch._utils\n_rebuild_tensor_v2\n((")
		text("storage")
		p.WriteString("ctorch\n" + storages[x.DType] + "\n")
		text(fmt.Sprint(i))
		text("cpu")
		number(numel)
		p.WriteString("tQ")
		number(0)
		for _, ns := range [][]int{shape, strides} {
			p.WriteString("(")
			for _, n := range ns {
				number(n)
			}
			p.WriteString("t")
		}
		p.WriteString("\x89ccollections\nOrderedDict\n)RtR")
	}
	p.WriteString("u.")
	put("data.pkl", p.Bytes())
	put("byteorder", []byte("little"))
	put("version", []byte("3\n"))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
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
