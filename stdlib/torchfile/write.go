package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"lightbox/stdlib/safetensors"
)

// Tensor is a tensor to write. Strides say, in elements, how its data lies; nil: row after row.
type Tensor struct {
	safetensors.Tensor
	Strides []int
}

var storageOf = map[safetensors.DType]string{
	safetensors.F64: "DoubleStorage", safetensors.F32: "FloatStorage", safetensors.F16: "HalfStorage", safetensors.BF16: "BFloat16Storage",
	safetensors.I64: "LongStorage",
}

// Encode is the file that torch.save writes of a state_dict in its order, a zip archive in memory; each tensor has a storage
// of its own at a multiple of 64 bytes. under nests it as training programs do: "state_dict", or "" for none. Torch loads
// it, with weights_only=True too. The same tensors give the same bytes.
func Encode(tensors []Tensor, under string) ([]byte, error) {
	var p, out bytes.Buffer
	z := zip.NewWriter(&out)
	number := func(n int) {
		if n < 1<<31 {
			p.Write(binary.LittleEndian.AppendUint32([]byte{'J'}, uint32(n)))
		} else {
			p.Write(binary.LittleEndian.AppendUint64([]byte{'\x8a', 8}, uint64(n)))
		}
	}
	text := func(s string) {
		p.Write(binary.LittleEndian.AppendUint32([]byte{'X'}, uint32(len(s))))
		p.WriteString(s)
	}
	p.WriteString("\x80\x02")
	if under != "" {
		p.WriteString("}")
		text(under)
	}
	p.WriteString("ccollections\nOrderedDict\n)R(")
	for i, x := range tensors {
		kind, ok := storageOf[x.DType]
		if !ok {
			return nil, fmt.Errorf("torch file: tensor %q has the type %s, which is not written", x.Name, x.DType)
		}
		strides, numel := rowMajor(x.Shape)
		if x.Strides != nil {
			strides = x.Strides
		}
		data := x.Data()
		if len(data) != numel*x.DType.Size() {
			return nil, fmt.Errorf("torch file: tensor %q has %d bytes; want %d for %d %s", x.Name, len(data), numel*x.DType.Size(), numel, x.DType)
		}
		if err := record(z, &out, fmt.Sprint("data/", i), data); err != nil {
			return nil, err
		}
		text(x.Name)
		p.WriteString("ctorch._utils\n_rebuild_tensor_v2\n((")
		text("storage")
		p.WriteString("ctorch\n" + kind + "\n")
		text(fmt.Sprint(i))
		text("cpu")
		number(numel)
		p.WriteString("tQ")
		number(0)
		for _, ns := range [][]int{x.Shape, strides} {
			p.WriteString("(")
			for _, n := range ns {
				number(n)
			}
			p.WriteString("t")
		}
		p.WriteString("\x89ccollections\nOrderedDict\n)RtR")
	}
	p.WriteString("u")
	if under != "" {
		p.WriteString("s")
	}
	p.WriteString(".")
	for _, r := range []struct {
		name string
		data []byte
	}{{"data.pkl", p.Bytes()}, {"byteorder", []byte("little")}, {"version", []byte("3\n")}} {
		if err := record(z, &out, r.name, r.data); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return out.Bytes(), err
}

// rowMajor is the strides of a shape, and its elements.
func rowMajor(shape []int) (strides []int, numel int) {
	strides, numel = make([]int, len(shape)), 1
	for d, n := range slices.Backward(shape) {
		strides[d] = numel
		numel *= n
	}
	return strides, numel
}

// record puts an uncompressed file into the archive, its data at a multiple of 64 bytes.
func record(z *zip.Writer, out *bytes.Buffer, name string, data []byte) error {
	if err := z.Flush(); err != nil {
		return err
	}
	h := &zip.FileHeader{Name: "archive/" + name, Method: zip.Store}
	gap := -(out.Len() + 30 + len(h.Name) + 4) & 63
	h.Extra = binary.LittleEndian.AppendUint16([]byte("FB"), uint16(gap))
	h.Extra = append(h.Extra, strings.Repeat("Z", gap)...)
	h.CompressedSize64, h.UncompressedSize64 = uint64(len(data)), uint64(len(data))
	w, err := z.CreateHeader(h)
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}
