package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"unsafe"
)

// maxHeader is the longest header that the reference implementation accepts.
const maxHeader = 100_000_000

// Info describes one tensor of an archive.
type Info struct {
	Name  string
	DType DType
	Shape []int
	File  string // the file it stands in
}

// Numel is the number of elements.
func (i Info) Numel() int64 {
	n := int64(1)
	for _, d := range i.Shape {
		n *= int64(d)
	}
	return n
}

// Archive is an opened file, or all shards of a checkpoint. Its bytes are valid
// until Close. Reading is safe for concurrent use.
type Archive struct {
	path     string
	files    []string
	tensors  map[string]entry
	metadata map[string]string
	closers  []func() error
	maps     [][]byte // of files, as MapFile gives them
}

type entry struct {
	Info
	data []byte
}

// New is an archive without tensors; Put adds what another format holds. path is
// what errors call it.
func New(path string) *Archive {
	return &Archive{path: path, tensors: map[string]entry{}, metadata: map[string]string{}}
}

// Put adds a tensor, whose data must not change afterwards.
func (a *Archive) Put(info Info, data []byte) error {
	if old, ok := a.tensors[info.Name]; ok {
		return fmt.Errorf("safetensors: %s: tensor %q stands in %s too", info.File, info.Name, old.File)
	}
	if want := info.Numel() * int64(info.DType.Size()); int64(len(data)) != want {
		return fmt.Errorf("safetensors: %s: tensor %q has %d bytes; want %d for %s %v", info.File, info.Name, len(data), want, info.DType, info.Shape)
	}
	a.tensors[info.Name] = entry{info, data}
	return nil
}

// Own makes Close call f too, and lists file among the opened ones.
func (a *Archive) Own(file string, f func() error) {
	a.files = append(a.files, file)
	a.closers = append(a.closers, f)
}

// OwnMap is Own of a file that is mapped as data.
func (a *Archive) OwnMap(file string, data []byte, f func() error) {
	a.Own(file, f)
	a.maps = append(a.maps, data)
}

// Forget says that a tensor's bytes will not be read soon: of a mapped file they leave the process's memory, and come
// back from the file when they are read again.
func (a *Archive) Forget(name string) {
	data := a.tensors[name].data
	if len(data) == 0 {
		return
	}
	at := uintptr(unsafe.Pointer(unsafe.SliceData(data)))
	for _, m := range a.maps {
		if from := uintptr(unsafe.Pointer(unsafe.SliceData(m))); len(m) > 0 && at >= from && at+uintptr(len(data)) <= from+uintptr(len(m)) {
			off := int(at - from)
			forget(m, off, off+len(data))
			return
		}
	}
}

// Open maps the file at path. Given a directory it opens model.safetensors there,
// or the shards that model.safetensors.index.json names; package weights knows
// the checkpoints of other formats too.
func Open(path string) (*Archive, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	index, one := filepath.Join(path, "model.safetensors.index.json"), filepath.Join(path, "model.safetensors")
	switch {
	case !info.IsDir():
		return openFile(path)
	case exists(index):
		return OpenIndex(index, openFile)
	case exists(one):
		a, err := openFile(one)
		if err == nil {
			a.path = path
		}
		return a, err
	}
	return nil, fmt.Errorf("safetensors: %s: found neither model.safetensors nor model.safetensors.index.json", path)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// openFile maps one file.
func openFile(path string) (*Archive, error) {
	data, closer, err := MapFile(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	a := New(path)
	a.OwnMap(path, data, closer)
	if err := a.parse(data); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// Parse reads an archive that lies in memory (an embedded checkpoint). name
// stands for the file in errors; data must not change afterwards.
func Parse(name string, data []byte) (*Archive, error) {
	a := New(name)
	if err := a.parse(data); err != nil {
		return nil, err
	}
	return a, nil
}

// Path is what Open was given.
func (a *Archive) Path() string { return a.path }

// Files lists the opened files.
func (a *Archive) Files() []string { return slices.Clone(a.files) }

// Names lists the tensors, sorted.
func (a *Archive) Names() []string { return slices.Sorted(maps.Keys(a.tensors)) }

// Metadata is the header's __metadata__ (of the last shard that has one).
func (a *Archive) Metadata() map[string]string { return a.metadata }

// Info describes the tensor of that name.
func (a *Archive) Info(name string) (Info, bool) {
	e, ok := a.tensors[name]
	return e.Info, ok
}

// Bytes is the tensor's raw little-endian data, in the mapped file: read only.
// It is nil for an unknown name.
func (a *Archive) Bytes(name string) []byte { return a.tensors[name].data }

// Floats is the tensor widened (F16, BF16) or narrowed (F64) to float32.
func (a *Archive) Floats(name string) ([]float32, error) {
	e, ok := a.tensors[name]
	if !ok {
		return nil, fmt.Errorf("safetensors: %s: no tensor %q", a.path, name)
	}
	f, err := widen(e.DType, e.data)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %s: tensor %q %w", e.File, name, err)
	}
	return f, nil
}

// Close unmaps the files. Tensors made from their bytes must be gone by then.
func (a *Archive) Close() error {
	var errs []error
	for _, c := range a.closers {
		errs = append(errs, c())
	}
	a.closers = nil
	return errors.Join(errs...)
}

// parse reads the header of data and adds its tensors.
func (a *Archive) parse(data []byte) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("safetensors: %s: %w", a.path, fmt.Errorf(format, args...))
	}
	if len(data) < 8 {
		return bad("%d bytes are too few for a safetensors file: truncated?", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader {
		return bad("the header claims %d bytes, more than the %d allowed: not a safetensors file, or damaged", n, maxHeader)
	}
	if n > uint64(len(data)-8) {
		return bad("the header claims %d bytes but only %d follow: truncated", n, len(data)-8)
	}
	body := data[8+n:]
	entries, meta, err := parseHeader(data[8 : 8+n])
	if err != nil {
		return bad("header: %w", err)
	}
	for k, v := range meta {
		a.metadata[k] = v
	}
	if err := checkLayout(entries, int64(len(body))); err != nil {
		return bad("%w", err)
	}
	for _, e := range entries { // parseHeader has seen to it that no name stands twice
		info := Info{Name: e.name, DType: e.DType, Shape: e.Shape, File: a.path}
		a.tensors[e.name] = entry{info, body[e.Offsets[0]:e.Offsets[1]:e.Offsets[1]]}
	}
	return nil
}

// headerEntry is one tensor as the header's JSON has it.
type headerEntry struct {
	name    string
	DType   DType   `json:"dtype"`
	Shape   []int   `json:"shape"`
	Offsets []int64 `json:"data_offsets"`
}

// parseHeader reads the JSON key by key, so that a name given twice is seen.
func parseHeader(raw []byte) ([]headerEntry, map[string]string, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, errors.New("is not a JSON object: not a safetensors file, or damaged")
	}
	var out []headerEntry
	var meta map[string]string
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, nil, err
		}
		name, _ := t.(string)
		if seen[name] {
			return nil, nil, fmt.Errorf("tensor %q is listed twice", name)
		}
		seen[name] = true
		if name == "__metadata__" {
			if err := dec.Decode(&meta); err != nil {
				return nil, nil, fmt.Errorf("__metadata__: %w", err)
			}
			continue
		}
		e := headerEntry{name: name}
		if err := dec.Decode(&e); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		out = append(out, e)
	}
	if _, err := dec.Token(); err != nil {
		return nil, nil, err
	}
	if rest := raw[dec.InputOffset():]; len(bytes.TrimSpace(rest)) > 0 {
		return nil, nil, errors.New("has text after its JSON")
	}
	return out, meta, nil
}

// checkLayout holds every tensor against its type, its shape, its neighbours and the file's end.
// It sorts entries by offset.
func checkLayout(entries []headerEntry, size int64) error {
	for _, e := range entries {
		bytes := int64(e.DType.Size())
		if bytes == 0 {
			return fmt.Errorf("tensor %q has the unknown dtype %q", e.name, e.DType)
		}
		for _, d := range e.Shape {
			if d < 0 || d > 0 && bytes > (1<<62)/int64(d) {
				return fmt.Errorf("tensor %q has the impossible shape %v", e.name, e.Shape)
			}
			bytes *= int64(d)
		}
		if len(e.Offsets) != 2 || e.Offsets[0] < 0 || e.Offsets[1] < e.Offsets[0] {
			return fmt.Errorf("tensor %q has the impossible offsets %v", e.name, e.Offsets)
		}
		if got := e.Offsets[1] - e.Offsets[0]; got != bytes {
			return fmt.Errorf("tensor %q has %d bytes; want %d for %s %v", e.name, got, bytes, e.DType, e.Shape)
		}
		if e.Offsets[1] > size {
			return fmt.Errorf("tensor %q ends at byte %d but the data has only %d: truncated", e.name, e.Offsets[1], size)
		}
	}
	sort.SliceStable(entries, func(i, j int) bool {
		a, b := entries[i].Offsets, entries[j].Offsets
		return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
	})
	end, last := int64(0), ""
	for _, e := range entries {
		if e.Offsets[0] < end {
			return fmt.Errorf("tensors %q and %q overlap", last, e.name)
		}
		if e.Offsets[0] > end {
			return fmt.Errorf("tensor %q begins at byte %d; want %d, where the one before it ends", e.name, e.Offsets[0], end)
		}
		end, last = e.Offsets[1], e.name
	}
	if end != size {
		return fmt.Errorf("the data has %d bytes; the tensors use %d", size, end)
	}
	return nil
}
