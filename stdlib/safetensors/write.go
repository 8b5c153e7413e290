package safetensors

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sort"
)

// Tensor is one tensor to write. Data is called once, when its turn comes, so
// that a checkpoint need not be in memory as a whole; it returns the raw
// little-endian bytes.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Data  func() []byte
}

// Float32 is a tensor of float32 values, written as dtype F32 or BF16 (rounded
// to the nearest, ties to even).
func Float32(name string, dt DType, shape []int, values []float32) Tensor {
	return Tensor{name, dt, shape, func() []byte {
		if dt == BF16 {
			return PackBF16(values)
		}
		return PackF32(values)
	}}
}

// Write writes the tensors to path. The order is the reference
// implementation's (widest type first, then by name), so the same tensors give
// the same bytes. metadata may be nil; readers of PyTorch models want
// {"format": "pt"}. The file appears under its name only when it is complete
// and synced, with mode 0644.
func Write(path string, tensors []Tensor, metadata map[string]string) (err error) {
	fail := func(err error) error { return fmt.Errorf("safetensors: %s: %w", path, err) }
	sorted := append([]Tensor(nil), tensors...)
	sort.SliceStable(sorted, func(i, j int) bool {
		a, b := sorted[i].DType.Size(), sorted[j].DType.Size()
		return a > b || a == b && sorted[i].Name < sorted[j].Name
	})
	head, err := header(sorted, metadata)
	if err != nil {
		return fail(err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fail(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := writeAll(w, head, sorted); err != nil {
		return fail(err)
	}
	if err := errors.Join(w.Flush(), f.Chmod(0o644), f.Sync()); err != nil {
		return fail(err)
	}
	if err := f.Close(); err != nil {
		return errors.Join(fail(err), os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(fail(err), os.Remove(f.Name()))
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fail(err)
	}
	return nil
}

// syncDir makes the names of a directory's files last.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func writeAll(w io.Writer, head []byte, tensors []Tensor) error {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(head)))
	if _, err := w.Write(append(n[:], head...)); err != nil {
		return err
	}
	for _, t := range tensors {
		data := t.Data()
		if want := numBytes(t); int64(len(data)) != want {
			return fmt.Errorf("tensor %q has %d bytes of data; want %d for %s %v", t.Name, len(data), want, t.DType, t.Shape)
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}

func numBytes(t Tensor) int64 {
	n := int64(t.DType.Size())
	for _, d := range t.Shape {
		n *= int64(d)
	}
	return n
}

// header is the JSON header, its keys in the order of the data, padded with
// spaces to a multiple of 8 so that the data is aligned.
func header(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	put := func(key string, value any) error {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		k, err := json.Marshal(key)
		if err != nil {
			return err
		}
		v, err := json.Marshal(value)
		if err != nil {
			return err
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
		return nil
	}
	if len(metadata) > 0 {
		if err := put("__metadata__", metadata); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{}
	offset := int64(0)
	for _, t := range tensors {
		if t.DType.Size() == 0 {
			return nil, fmt.Errorf("tensor %q has the unknown dtype %q", t.Name, t.DType)
		}
		if seen[t.Name] || t.Name == "__metadata__" {
			return nil, fmt.Errorf("tensor name %q is used twice or reserved", t.Name)
		}
		seen[t.Name] = true
		end := offset + numBytes(t)
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		e := struct {
			DType   DType    `json:"dtype"`
			Shape   []int    `json:"shape"`
			Offsets [2]int64 `json:"data_offsets"`
		}{t.DType, shape, [2]int64{offset, end}}
		if err := put(t.Name, e); err != nil {
			return nil, err
		}
		offset = end
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	return b.Bytes(), nil
}
