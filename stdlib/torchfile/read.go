package torchfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lightbox/stdlib/safetensors"
)

// Open maps the file at path and gives its tensors by name. Names in nested dictionaries are joined by points; of a
// training program's file, which holds its weights under "state_dict" or the like beside other things, it gives the weights.
// Whatever else stands in the dictionaries (numbers, strings, lists) is passed over.
//
// Every error names the file.
func Open(path string) (*safetensors.Archive, error) {
	data, unmap, err := safetensors.MapFile(path)
	if err != nil {
		return nil, fmt.Errorf("torch file: %w", err)
	}
	a := safetensors.New(path)
	a.OwnMap(path, data, unmap)
	if err := readInto(a, path, data); err != nil {
		return nil, errors.Join(fmt.Errorf("torch file: %s: %w", path, err), a.Close())
	}
	return a, nil
}

// Parse reads a file that lies in memory; name stands for it in errors and data must not change afterwards.
func Parse(name string, data []byte) (*safetensors.Archive, error) {
	a := safetensors.New(name)
	if err := readInto(a, name, data); err != nil {
		return nil, fmt.Errorf("torch file: %s: %w", name, err)
	}
	return a, nil
}

// Is tells a torch file by how it begins.
func Is(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, legacyMagic)
}

func readInto(a *safetensors.Archive, file string, data []byte) error {
	f := &reading{data: data, m: machine{storages: map[string]*storage{}}, budget: 32*int64(len(data)) + 64<<20}
	var top any
	var err error
	switch {
	case bytes.HasPrefix(data, legacyMagic):
		top, err = f.legacy()
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		top, err = f.zip()
	case len(data) > 262 && string(data[257:262]) == "ustar":
		err = errors.New("is a tar archive of torch before 0.1.10, which is not supported; load and save it with a newer torch")
	default:
		err = fmt.Errorf("begins with % x, neither a zip archive nor a pickle of torch: truncated, or no torch file", data[:min(8, len(data))])
	}
	if err != nil {
		return err
	}
	d, ok := top.(*dict)
	if !ok {
		return fmt.Errorf("holds %s; want a dictionary of tensors", describe(top))
	}
	return f.tensors(a, file, weightsIn(d), "", nil)
}

// reading is a file under way.
type reading struct {
	data   []byte
	m      machine
	budget int64 // bytes that may still be copied: a small file cannot ask for all memory
}

func (f *reading) spend(bytes int64, what string) error {
	if f.budget -= bytes; f.budget < 0 {
		return fmt.Errorf("%s would take %d bytes of memory, far more than the file has (%d): refused", what, bytes, len(f.data))
	}
	return nil
}

// wrappings are the keys under which training programs put the weights.
var wrappings = []string{"state_dict", "model_state_dict", "model", "module"}

// weightsIn unwraps a dictionary that holds no tensors itself.
func weightsIn(d *dict) *dict {
unwrap:
	for range len(wrappings) {
		for _, v := range d.values {
			if _, ok := v.(*view); ok {
				return d
			}
		}
		for _, k := range wrappings {
			if in, ok := d.get(k).(*dict); ok {
				d = in
				continue unwrap
			}
		}
		break
	}
	return d
}

// maxDepth of nested dictionaries; real ones have two or three.
const maxDepth = 16

// tensors puts all tensors of d into the archive.
func (f *reading) tensors(a *safetensors.Archive, file string, d *dict, prefix string, within []*dict) error {
	if slices.Contains(within, d) || len(within) == maxDepth {
		return fmt.Errorf("has dictionaries within each other without end, at %.100q", prefix)
	}
	if err := f.spend(int64(64*(1+len(d.keys))), "its list of tensors"); err != nil { // one dictionary in very many places
		return err
	}
	within = append(within, d)
	for i, k := range d.keys {
		switch v := d.values[i].(type) {
		case *view:
			name, ok := k.(string)
			if !ok {
				continue // an optimiser's state, by number
			}
			name = prefix + name
			data, err := f.bytes(v)
			if err != nil {
				return fmt.Errorf("tensor %.200q: %w", name, err)
			}
			shape := make([]int, len(v.shape))
			for i, n := range v.shape {
				shape[i] = int(n)
			}
			if err := a.Put(safetensors.Info{Name: name, DType: v.st.dtype, Shape: shape, File: file}, data); err != nil {
				return err
			}
		case *dict:
			if name, ok := k.(string); ok {
				if err := f.tensors(a, file, v, prefix+name+".", within); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// bytes gives the elements of a view in row-major order: in the file where they lie so, else copied.
func (f *reading) bytes(v *view) ([]byte, error) {
	size := int64(v.st.dtype.Size())
	if len(v.shape) > 64 || v.offset < 0 || v.offset > v.st.numel {
		return nil, fmt.Errorf("has %d dimensions from element %d on, of a storage of %d", len(v.shape), v.offset, v.st.numel)
	}
	numel, last, contiguous := int64(1), v.offset, true
	for i := len(v.shape) - 1; i >= 0; i-- {
		n, s := v.shape[i], v.strides[i]
		if n < 0 || s < 0 || n > 0 && numel > 1<<56/n || n > 1 && s > 1<<56/(n-1) {
			return nil, fmt.Errorf("has the impossible shape %v with strides %v", v.shape, v.strides)
		}
		contiguous = contiguous && (n == 1 || s == numel)
		numel *= n
		last += max(0, n-1) * s
	}
	if numel == 0 {
		return nil, nil
	}
	if last >= v.st.numel {
		return nil, fmt.Errorf("reaches element %d (offset %d, shape %v, strides %v) of a storage of %d", last, v.offset, v.shape, v.strides, v.st.numel)
	}
	if v.st.data == nil {
		return nil, fmt.Errorf("its storage %q is missing", v.st.key)
	}
	if contiguous {
		lo, hi := v.offset*size, (v.offset+numel)*size
		return v.st.data[lo:hi:hi], nil
	}
	if err := f.spend(numel*size, "a copy"); err != nil {
		return nil, err
	}
	return gather(v, int(numel), int(size)), nil
}

// gather copies a view's elements one by one, the last index fastest.
func gather(v *view, numel, size int) []byte {
	out := make([]byte, 0, numel*size)
	index := make([]int64, len(v.shape))
	at := v.offset
	for range numel {
		out = append(out, v.st.data[at*int64(size):(at+1)*int64(size)]...)
		for i := len(index) - 1; i >= 0; i-- {
			index[i]++
			at += v.strides[i]
			if index[i] < v.shape[i] {
				break
			}
			at -= index[i] * v.strides[i]
			index[i] = 0
		}
	}
	return out
}

// found gives a storage its bytes.
func (s *storage) found(raw []byte) error {
	want := s.numel * int64(s.dtype.Size())
	if int64(len(raw)) < want {
		return fmt.Errorf("storage %q has %d bytes; want %d for %d %s: truncated", s.key, len(raw), want, s.numel, s.dtype)
	}
	s.data = raw[:want:want]
	return nil
}

// sortedStorages is the storages that the pickle refers to, by key.
func (m *machine) sortedStorages() []*storage {
	var out []*storage
	for _, s := range m.storages {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *storage) int { return strings.Compare(a.key, b.key) })
	return out
}
