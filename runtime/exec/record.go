package exec

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sort"
	"sync"

	"lightbox/runtime/step"
	"lightbox/runtime/store"
)

// MetricsName is the file of an artifact that holds what the step recorded
// with Context.Metric: one {"step","name","value"} per line, by step and name.
const MetricsName = "metrics.jsonl"

// TimingsName is that of what it recorded with Context.Timing, alike.
const TimingsName = store.TimingsName

// recorder keeps a running step's metrics, timings and log. They are written
// as they come, beside the checkpoints, so that they survive a kill.
type recorder struct {
	store *store.Store
	key   step.Key
	show  *show

	mu      sync.Mutex
	metrics series
	timings series
	logFile *os.File
}

// series is a growing file of values.
type series struct {
	f   *os.File
	err error
}

type metric struct {
	Step  int64   `json:"step"`
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

func (r *recorder) metric(name string, at int64, v float64) {
	r.add(&r.metrics, r.store.Metrics, name, at, v)
}

func (r *recorder) timing(name string, at int64, v float64) {
	r.add(&r.timings, r.store.Timings, name, at, v)
}

func (r *recorder) add(s *series, place func(step.Key) string, name string, at int64, v float64) {
	r.show.metric(name, v)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return // JSON has no such number; the step itself must fail on it
	}
	raw, err := json.Marshal(metric{at, name, v})
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.f == nil && s.err == nil {
		s.f, s.err = r.open(place)
	}
	if s.err == nil {
		_, s.err = s.f.Write(append(raw, '\n'))
	}
}

func (r *recorder) open(place func(step.Key) string) (*os.File, error) {
	path := place(r.key)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	// A kill may have torn the last line: begin on a fresh one.
	_, err = f.WriteString("\n")
	return f, err
}

// sync brings what was recorded to the disk, or says why it could not be
// recorded.
func (r *recorder) sync() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range []*series{&r.metrics, &r.timings} {
		if s.err == nil && s.f != nil {
			s.err = s.f.Sync()
		}
		if s.err != nil {
			return s.err
		}
	}
	return nil
}

func (r *recorder) log(line string) {
	r.show.log(line)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.logFile == nil {
		f, err := r.store.Log(r.key)
		if err != nil {
			return
		}
		r.logFile = f
	}
	_, _ = fmt.Fprintln(r.logFile, line)
}

// finish writes the metrics and timings into the artifact: of a step count
// that was recorded twice (before a kill and after the resume) the later value.
// A resumed step that records nothing more still keeps what was recorded.
func (r *recorder) finish(dir string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range []struct {
		s     *series
		name  string
		place func(step.Key) string
	}{{&r.metrics, MetricsName, r.store.Metrics}, {&r.timings, TimingsName, r.store.Timings}} {
		if x.s.err == nil && x.s.f == nil {
			if _, err := os.Stat(x.place(r.key)); errors.Is(err, fs.ErrNotExist) {
				continue
			}
			x.s.f, x.s.err = r.open(x.place)
		}
		if x.s.err != nil {
			return x.s.err
		}
		list, err := lastOf(x.s.f)
		if err == nil {
			err = writeSeries(dir, x.name, list)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lastOf reads the values of a series, by step and name.
func lastOf(f *os.File) ([]metric, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	type id struct {
		step int64
		name string
	}
	last := map[id]float64{}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		var m metric
		if json.Unmarshal(sc.Bytes(), &m) == nil && m.Name != "" {
			last[id{m.Step, m.Name}] = m.Value
		}
	}
	if err := sc.Err(); err != nil {
		return nil, err
	}
	list := make([]metric, 0, len(last))
	for k, v := range last {
		list = append(list, metric{k.step, k.name, v})
	}
	sort.Slice(list, func(a, b int) bool {
		if list[a].Step != list[b].Step {
			return list[a].Step < list[b].Step
		}
		return list[a].Name < list[b].Name
	})
	return list, nil
}

func writeSeries(dir, name string, list []metric) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the step wrote a file %s itself, and recorded values", name)
	}
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for _, m := range list {
		if err := enc.Encode(m); err != nil {
			_ = f.Close()
			return err
		}
	}
	return errors.Join(w.Flush(), f.Close())
}

func (r *recorder) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range []*os.File{r.metrics.f, r.timings.f, r.logFile} {
		if f != nil {
			_ = f.Close()
		}
	}
	r.metrics.f, r.timings.f, r.logFile = nil, nil, nil
}
