package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"lightbox/kernels/ops"
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
	return crc32.ChecksumIEEE(fmt.Appendf(nil, "%d %d %d %x", s.Step, s.Evaluated, s.BestStep, s.BestLoss))
}

const checkpointPrefix = "checkpoint-"

// save writes a checkpoint beside the one before, and then removes older ones. A kill leaves the last one whole.
func (t *trainer) save(dir string) error {
	all := t.opt.tensors()
	names := make([]string, 0, len(all))
	for n := range all {
		names = append(names, n)
	}
	sort.Strings(names)
	st := state{mark: t.opt.mark, Evaluated: t.evaluated}
	st.CRC = st.sum()
	var out []safetensors.Tensor
	for _, n := range names {
		values := ops.Floats(all[n])
		st.CRC = crc(st.CRC, values)
		out = append(out, safetensors.Float32(n, safetensors.F32, all[n].Shape(), values))
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
	for _, o := range old[:max(0, len(old)-2)] {
		if err := os.Remove(o); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func crc(sum uint32, values []float32) uint32 {
	return crc32.Update(sum, crc32.IEEETable, safetensors.PackF32(values))
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

// resume loads the newest checkpoint that is whole. A torn one is passed over with a warning.
func (t *trainer) resume(dir string, warn func(string, ...any)) error {
	list, err := checkpoints(dir)
	if err != nil {
		return err
	}
	for i := len(list) - 1; i >= 0; i-- {
		err := t.load(list[i])
		if err == nil {
			return nil
		}
		warn("checkpoint %s is not usable (%v); trying the one before", filepath.Base(list[i]), err)
	}
	t.opt.best = nil
	if len(list) > 0 {
		warn("no checkpoint is usable; training starts again")
	}
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
	values := map[string][]float32{}
	sum := st.sum()
	for _, n := range names {
		v, err := a.Floats(n)
		if err != nil {
			return err
		}
		values[n], sum = v, crc(sum, v)
	}
	if sum != st.CRC {
		return fmt.Errorf("checksum %08x, want %08x", sum, st.CRC)
	}
	if t.opt.best = nil; st.BestStep > 0 {
		t.opt.keepBest(t.dev)
	}
	all := t.opt.tensors()
	for _, n := range names {
		if x := all[n]; x == nil || len(values[n]) != x.Numel() {
			return fmt.Errorf("tensor %s is not of this training", n)
		}
	}
	if len(names) != len(all) {
		return fmt.Errorf("%d tensors, want %d", len(names), len(all))
	}
	for n, x := range all {
		ops.SetFloats(x, values[n])
	}
	t.opt.mark, t.evaluated = st.mark, st.Evaluated
	return nil
}
