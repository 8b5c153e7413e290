package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"lightbox/runtime/step"
)

// Manifest says what an artifact is, what made it and from what.
type Manifest struct {
	Format    int             `json:"format"`
	Key       step.Key        `json:"key"`
	Plan      step.Key        `json:"plan"`
	Op        string          `json:"op"`
	Version   string          `json:"version"`
	Params    json.RawMessage `json:"params"`
	Inputs    []Input         `json:"inputs,omitempty"`
	Seed      *uint64         `json:"seed,omitempty"` // only where it joins the key
	Rehearsal bool            `json:"rehearsal,omitempty"`
	Sources   int             `json:"sources,omitempty"` // lines of sources.jsonl
	Var       string          `json:"var,omitempty"`
	Recipe    string          `json:"recipe,omitempty"`
	Device    string          `json:"device"`
	ISA       string          `json:"instruction_set"`
	Model     string          `json:"model,omitempty"`
	Threads   int             `json:"threads,omitempty"`
	Lightbox  string          `json:"lightbox"`
	Made      time.Time       `json:"made"`
	Seconds   float64         `json:"seconds"`
	PeakBytes int64           `json:"peak_bytes,omitempty"`
	Cost      step.Cost       `json:"estimate"`
	Resumed   bool            `json:"resumed,omitempty"`  // seconds count the last stretch only
	Together  int             `json:"together,omitempty"` // steps that ran as one; seconds and estimate are this one's share
	Files     []File          `json:"files"`
	Sum       string          `json:"sum"` // SHA-256 of this document with sum empty
}

// Input is one input artifact.
type Input struct {
	Var string   `json:"var,omitempty"`
	Op  string   `json:"op"`
	Key step.Key `json:"key"`
}

// File is one file of an artifact; Name is slash-separated.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Source is one external file that an artifact depends on.
type Source struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

const (
	manifestName = "manifest.json"
	sourcesName  = "sources.jsonl"
	format       = 1
)

// ArtifactKey joins the plan key with what the plan cannot know: the content
// of external files (in the order of Op.Files), the seed if the operation
// reads it, and the artifact keys of the inputs.
func ArtifactKey(plan step.Key, sources []Source, seed *uint64, inputs []step.Key) step.Key {
	h := sha256.New()
	h.Write([]byte("lightbox artifact 1\n"))
	h.Write(plan[:])
	var n [8]byte
	count := func(v uint64) {
		binary.LittleEndian.PutUint64(n[:], v)
		h.Write(n[:])
	}
	count(uint64(len(sources)))
	for _, s := range sources {
		h.Write([]byte(s.SHA256))
	}
	if seed != nil {
		count(1)
		count(*seed)
	} else {
		count(0)
	}
	count(uint64(len(inputs)))
	for _, k := range inputs {
		h.Write(k[:])
	}
	var k step.Key
	h.Sum(k[:0])
	return k
}

// Damaged is an artifact that is there but not as it was written.
type Damaged struct {
	Key    step.Key
	Reason string // "captions.jsonl: content changed"
}

func (d *Damaged) Error() string { return "artifact " + d.Key.Short() + " is damaged: " + d.Reason }

// Manifest reads the manifest of key. A missing artifact gives fs.ErrNotExist,
// a torn or altered manifest *Damaged.
func (s *Store) Manifest(key step.Key) (*Manifest, error) {
	raw, err := os.ReadFile(filepath.Join(s.Dir(key), manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		if _, statErr := os.Stat(s.Dir(key)); statErr == nil {
			return nil, &Damaged{key, "its manifest is missing"}
		}
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	var m Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, &Damaged{key, "its manifest is torn"}
	}
	if m.Format != format {
		return nil, &Damaged{key, fmt.Sprintf("its manifest has format %d, this lightbox writes %d", m.Format, format)}
	}
	sum := m.Sum
	if want, _, err := m.seal(); err != nil || want != sum || m.Key != key {
		return nil, &Damaged{key, "its manifest was altered"}
	}
	m.Sum = sum
	return &m, nil
}

// seal returns the manifest's sum and its text with the sum in place.
func (m *Manifest) seal() (sum string, text []byte, err error) {
	m.Sum = ""
	var compact bytes.Buffer
	if len(m.Params) > 0 {
		if err := json.Compact(&compact, m.Params); err != nil {
			return "", nil, fmt.Errorf("manifest parameters: %w", err)
		}
		m.Params = append(json.RawMessage(nil), compact.Bytes()...)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return "", nil, err
	}
	h := sha256.Sum256(raw)
	m.Sum = hex.EncodeToString(h[:])
	text, err = json.MarshalIndent(m, "", "  ")
	return m.Sum, append(text, '\n'), err
}

// Sources reads the list of external files behind key's artifact.
func (s *Store) Sources(key step.Key) ([]Source, error) {
	f, err := os.Open(filepath.Join(s.Dir(key), sourcesName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []Source
	d := json.NewDecoder(bufio.NewReader(f))
	for {
		var src Source
		if err := d.Decode(&src); err == io.EOF {
			return out, nil
		} else if err != nil {
			return nil, &Damaged{key, sourcesName + " is torn"}
		}
		out = append(out, src)
	}
}

// Get returns the manifest of a sound artifact. Files whose size and time are
// those of the last full check on this machine are believed; others are
// hashed. Errors are those of Manifest, and *Damaged.
func (s *Store) Get(key step.Key) (*Manifest, error) { return s.check(key, false) }

// Verify is Get hashing every file.
func (s *Store) Verify(key step.Key) (*Manifest, error) { return s.check(key, true) }

func (s *Store) check(key step.Key, full bool) (*Manifest, error) {
	m, err := s.Manifest(key)
	if err != nil {
		return nil, err
	}
	known := s.readStamps(key)
	fresh := map[string]stamp{}
	for _, f := range m.Files {
		path := filepath.Join(s.Dir(key), filepath.FromSlash(f.Name))
		st, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &Damaged{key, f.Name + ": missing"}
		}
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		if st.Size() != f.Size {
			return nil, &Damaged{key, fmt.Sprintf("%s: %d bytes, written with %d", f.Name, st.Size(), f.Size)}
		}
		now := stampOf(st)
		fresh[f.Name] = now
		if !full && known[f.Name] == now {
			continue
		}
		sum, err := hashFile(path)
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		if sum != f.SHA256 {
			return nil, &Damaged{key, f.Name + ": content changed"}
		}
	}
	for name, st := range fresh {
		if known[name] != st {
			s.writeStamps(key, fresh) // only saves time: a read-only store does without
			break
		}
	}
	return m, nil
}

// stamp is what makes a file believed without hashing it.
type stamp struct {
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime"`
	Inode uint64 `json:"inode"`
	CTime int64  `json:"ctime"`
}

func (s *Store) readStamps(key step.Key) map[string]stamp {
	var m map[string]stamp
	if raw, err := os.ReadFile(s.path("stamps", key.String()+".json")); err == nil {
		_ = json.Unmarshal(raw, &m) // a torn one only costs a hash
	}
	return m
}

func (s *Store) writeStamps(key step.Key, m map[string]stamp) {
	raw, err := json.Marshal(m)
	if err != nil || s.prepare("stamps") != nil {
		return
	}
	tmp, err := os.CreateTemp(s.path("stamps"), "new")
	if err != nil {
		return
	}
	_, werr := tmp.Write(raw)
	cerr := tmp.Close()
	if werr != nil || cerr != nil || os.Rename(tmp.Name(), s.path("stamps", key.String()+".json")) != nil {
		_ = os.Remove(tmp.Name())
	}
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
