package torchfile

import (
	"encoding/binary"
	"fmt"
)

// legacyMagic is how files before torch 1.6 begin (published torchvision weights do still): a pickle of a number.
var legacyMagic = []byte("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.")

// legacy reads five pickles (magic number, version, the machine, the object, the keys of its storages), after which the
// storages follow in the order of the keys, each with its number of elements before it.
func (f *reading) legacy() (any, error) {
	rest := f.data
	next := func(what string) (any, error) {
		v, n, err := f.m.unpickle(rest)
		if err != nil {
			return nil, fmt.Errorf("its pickle of %s %w", what, err)
		}
		rest = rest[n:]
		return v, nil
	}
	if _, err := next("the magic number"); err != nil {
		return nil, err
	}
	if v, err := next("the version"); err != nil {
		return nil, err
	} else if v != int64(1001) {
		return nil, fmt.Errorf("has version %v of the format; want 1001", v)
	}
	v, err := next("the machine")
	if err != nil {
		return nil, err
	}
	if sys, ok := v.(*dict); !ok || sys.get("little_endian") != true {
		return nil, fmt.Errorf("was not written on a little-endian machine, which is not supported")
	}
	top, err := next("the weights")
	if err != nil {
		return nil, err
	}
	if v, err = next("the storages' keys"); err != nil {
		return nil, err
	}
	keys, ok := v.(*list)
	if !ok {
		return nil, fmt.Errorf("has %s for the storages' keys; want a list", describe(v))
	}
	for _, k := range keys.items {
		key, _ := k.(string)
		s := f.m.storages[key]
		if s == nil || s.data != nil {
			return nil, fmt.Errorf("lists the storage %.100q, which no tensor has or which it has listed before", key)
		}
		if len(rest) < 8 {
			return nil, fmt.Errorf("ends before storage %.100q: truncated", key)
		}
		if n := binary.LittleEndian.Uint64(rest); n != uint64(s.numel) {
			return nil, fmt.Errorf("storage %.100q has %d elements; its tensors want %d: damaged", key, n, s.numel)
		}
		if err := s.found(rest[8:]); err != nil {
			return nil, err
		}
		rest = rest[8+len(s.data):]
	}
	return top, nil
}
