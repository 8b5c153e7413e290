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

// recorder keeps a running step's metrics and log. Metrics are written as
// they come, beside the checkpoints, so that they survive a kill.
type recorder struct {
	store *store.Store
	key   step.Key
	show  *show

	mu      sync.Mutex
	metrics *os.File
	logFile *os.File
	err     error
}

type metric struct {
	Step  int64   `json:"step"`
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

func (r *recorder) metric(name string, at int64, v float64) {
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
	if r.metrics == nil && r.err == nil {
		r.metrics, r.err = r.openMetrics()
	}
	if r.err == nil {
		_, r.err = r.metrics.Write(append(raw, '\n'))
	}
}

func (r *recorder) openMetrics() (*os.File, error) {
	path, err := r.store.Metrics(r.key)
	if err != nil {
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

// finish writes the metrics into the artifact: of a step count that was
// recorded twice (before a kill and after the resume) the later value.
func (r *recorder) finish(dir string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil || r.metrics == nil {
		return r.err
	}
	if _, err := r.metrics.Seek(0, io.SeekStart); err != nil {
		return err
	}
	type id struct {
		step int64
		name string
	}
	last := map[id]float64{}
	sc := bufio.NewScanner(r.metrics)
	for sc.Scan() {
		var m metric
		if json.Unmarshal(sc.Bytes(), &m) == nil && m.Name != "" {
			last[id{m.Step, m.Name}] = m.Value
		}
	}
	if err := sc.Err(); err != nil {
		return err
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
	return writeMetrics(filepath.Join(dir, MetricsName), list)
}

func writeMetrics(path string, list []metric) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the step wrote a file %s itself, and recorded metrics", MetricsName)
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
	for _, f := range []*os.File{r.metrics, r.logFile} {
		if f != nil {
			_ = f.Close()
		}
	}
	r.metrics, r.logFile = nil, nil
}
