package torchfile

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// zip reads an archive of torch 1.6 or later: NAME/data.pkl, the storages NAME/data/KEY, and NAME/byteorder.
func (f *reading) zip() (any, error) {
	z, err := zip.NewReader(bytes.NewReader(f.data), int64(len(f.data)))
	if err != nil {
		return nil, fmt.Errorf("is a damaged zip archive (%w): truncated?", err)
	}
	records := map[string]*zip.File{}
	root := ""
	for _, r := range z.File {
		records[r.Name] = r
		if dir, ok := strings.CutSuffix(r.Name, "/data.pkl"); ok && !strings.Contains(dir, "/") {
			root = dir
		}
	}
	pkl := records[root+"/data.pkl"]
	if pkl == nil {
		return nil, errors.New("is a zip archive without data.pkl: no file of torch.save")
	}
	if records[root+"/constants.pkl"] != nil {
		return nil, errors.New("is a TorchScript program; want the state_dict that torch.save writes")
	}
	if r := records[root+"/byteorder"]; r != nil {
		if b, err := f.record(r, 16); err != nil || string(b) != "little" {
			return nil, errors.Join(err, fmt.Errorf("has byte order %q; want little", b))
		}
	}
	raw, err := f.record(pkl, 1<<28)
	if err != nil {
		return nil, err
	}
	top, _, err := f.m.unpickle(raw)
	if err != nil {
		return nil, fmt.Errorf("its data.pkl %w", err)
	}
	for _, s := range f.m.sortedStorages() {
		r := records[root+"/data/"+s.key]
		if r == nil {
			return nil, fmt.Errorf("has no record %s/data/%.100s, in which a tensor's numbers should be", root, s.key)
		}
		raw, err := f.record(r, 1<<60)
		if err != nil {
			return nil, err
		}
		if err := s.found(raw); err != nil {
			return nil, err
		}
	}
	return top, nil
}

// record gives a record's bytes: in the file where it is stored as it is, else unpacked.
func (f *reading) record(r *zip.File, most uint64) ([]byte, error) {
	n := r.UncompressedSize64
	at, err := r.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("record %.100s: %w", r.Name, err)
	}
	if r.Method == zip.Store {
		if n > uint64(len(f.data)) || uint64(at) > uint64(len(f.data))-n {
			return nil, fmt.Errorf("record %.100s has %d bytes from byte %d on; the file has %d: truncated", r.Name, n, at, len(f.data))
		}
		if n > most {
			return nil, fmt.Errorf("record %.100s has %d bytes; want at most %d", r.Name, n, most)
		}
		return f.data[at : uint64(at)+n : uint64(at)+n], nil
	}
	if n > most {
		return nil, fmt.Errorf("record %.100s has %d bytes; want at most %d", r.Name, n, most)
	}
	if err := f.spend(int64(n), "the unpacked record "+r.Name); err != nil {
		return nil, err
	}
	in, err := r.Open()
	if err != nil {
		return nil, fmt.Errorf("record %.100s: %w", r.Name, err)
	}
	defer in.Close()
	out := make([]byte, n)
	if _, err := io.ReadFull(in, out); err != nil {
		return nil, fmt.Errorf("record %.100s cannot be unpacked: %w", r.Name, err)
	}
	return out, nil
}
