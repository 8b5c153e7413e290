package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/safetensors"
)

// A state is all that a step leaves behind.
type state struct {
	mark
	Evaluated int    `json:"evaluated,omitempty"` // the last step whose loss on "valid" is known
	CRC       uint32 `json:"crc"`                 // of the fields above and all tensors, in the order of their names
}

// sum begins the checksum with the state's own fields.
func (s state) sum() uint32 {
	return crc32.ChecksumIEEE(fmt.Appendf(nil, "%d %d %d %x %x %d %v", s.Step, s.Evaluated, s.BestStep, s.BestLoss, s.Recent, s.High, s.Missed))
}

const checkpointPrefix = "checkpoint-"

// save writes a checkpoint beside the one before, and then removes older ones. It appears under its name when it is whole
// and on the disk, so that a kill, or a disk that is full, leaves the last ones as they are.
func (t *trainer) save(dir string) error {
	all := t.opt.tensors()
	names := slices.Sorted(maps.Keys(all))
	st := state{mark: t.opt.mark, Evaluated: t.evaluated}
	st.CRC = st.sum()
	var out []safetensors.Tensor
	for _, n := range names {
		x := all[n]
		dt := safetensors.F32
		if x.DType() == tensor.U8 {
			dt = safetensors.U8
		}
		st.CRC = crc32.Update(st.CRC, crc32.IEEETable, ops.Bytes(x))
		out = append(out, safetensors.Tensor{Name: n, DType: dt, Shape: x.Shape(), Data: func() []byte { return ops.Bytes(x) }})
	}
	raw, err := json.Marshal(st)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, fmt.Sprintf("%s%08d.safetensors", checkpointPrefix, st.Step))
	if err := safetensors.Write(path, out, map[string]string{"lightbox": string(raw)}); err != nil {
		return fmt.Errorf("writing a checkpoint: %w", err)
	}
	old, err := checkpoints(dir)
	if err != nil {
		return err
	}
	for _, o := range old[:max(0, len(old)-generations)] {
		if err := remove(o); err != nil {
			return err
		}
	}
	return nil
}

// generations is the number of checkpoints that are kept.
const generations = 2

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// checkpoints lists those in dir, oldest first.
func checkpoints(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), checkpointPrefix) && strings.HasSuffix(e.Name(), ".safetensors") {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	sort.Strings(out)
	return out, nil
}

// resume loads the newest checkpoint that is whole. A torn one is removed with a warning, and the one before serves; what
// a kill left half-written is removed too.
func (t *trainer) resume(dir string, warn func(string, ...any)) error {
	parts, err := filepath.Glob(filepath.Join(dir, "."+checkpointPrefix+"*"))
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := remove(p); err != nil {
			return err
		}
	}
	list, err := checkpoints(dir)
	if err != nil {
		return err
	}
	for i := len(list) - 1; i >= 0; i-- {
		err := t.load(list[i])
		if err == nil {
			return nil
		}
		if i > 0 {
			warn("checkpoint %s is not usable (%v); trying the one before", filepath.Base(list[i]), err)
		} else {
			warn("checkpoint %s is not usable (%v); training starts again", filepath.Base(list[i]), err)
		}
		if err := remove(list[i]); err != nil {
			return err
		}
	}
	t.opt.best = nil
	return nil
}

func (t *trainer) load(path string) error {
	a, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer a.Close()
	var st state
	if err := json.Unmarshal([]byte(a.Metadata()["lightbox"]), &st); err != nil {
		return fmt.Errorf("its metadata: %w", err)
	}
	names := a.Names()
	sort.Strings(names)
	sum := st.sum()
	for _, n := range names {
		sum = crc32.Update(sum, crc32.IEEETable, a.Bytes(n))
	}
	if sum != st.CRC {
		return fmt.Errorf("checksum %08x, want %08x", sum, st.CRC)
	}
	if t.opt.best = nil; st.BestStep > 0 {
		t.opt.keepBest(t.dev)
	}
	all := t.opt.tensors()
	for _, n := range names {
		if x := all[n]; x == nil || len(a.Bytes(n)) != x.Numel()*x.DType().Size() {
			return fmt.Errorf("tensor %s is not of this training", n)
		}
	}
	if len(names) != len(all) {
		return fmt.Errorf("%d tensors, want %d", len(names), len(all))
	}
	for n, x := range all {
		x.Upload(a.Bytes(n))
	}
	t.opt.mark, t.evaluated = st.mark, st.Evaluated
	return nil
}
