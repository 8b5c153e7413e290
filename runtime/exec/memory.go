package exec

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// availableMemory is what a step may still take: the system's, or what a
// container leaves of it.
func availableMemory() (int64, bool) {
	n, ok := kilobytes("/proc/meminfo", "MemAvailable:")
	if limit, found := containerLeft(); found && (!ok || limit < n) {
		return limit, true
	}
	return n, ok
}

// freeMemory is what a step may take in all: what is available, and what the
// process has already, since models that are loaded are used again.
func freeMemory() (int64, bool) {
	free, ok := availableMemory()
	if own, known := kilobytes("/proc/self/status", "VmRSS:"); known {
		free += own
	}
	return free, ok
}

// totalMemory is the machine's, or the container's limit.
func totalMemory() (int64, bool) {
	n, ok := kilobytes("/proc/meminfo", "MemTotal:")
	for _, f := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if limit, err := number(f); err == nil && (!ok || limit < n) {
			return limit, true
		}
	}
	return n, ok
}

func containerLeft() (int64, bool) {
	for _, f := range [][3]string{
		{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"},
		{"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory/memory.stat"},
	} {
		limit, err1 := number(f[0])
		used, err2 := number(f[1])
		if err1 != nil || err2 != nil {
			continue
		}
		if raw, err := os.ReadFile(f[2]); err == nil { // file cache is given back under pressure
			for _, line := range strings.Split(string(raw), "\n") {
				if v, found := strings.CutPrefix(line, "inactive_file "); found {
					if n, err := strconv.ParseInt(v, 10, 64); err == nil {
						used -= n
					}
				}
			}
		}
		return max(limit-used, 0), true
	}
	return 0, false
}

func number(file string) (int64, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
}

// kilobytes reads a "Name:  123 kB" line of a /proc file, as bytes.
func kilobytes(file, name string) (int64, bool) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	for _, line := range bytes.Split(raw, []byte("\n")) {
		if f := strings.Fields(string(line)); len(f) >= 2 && f[0] == name {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n * 1024, err == nil
		}
	}
	return 0, false
}

// memoryWatch measures the process's largest resident size during a step:
// the kernel's own high-water mark where it can be reset, else samples.
type memoryWatch struct {
	quit  chan struct{}
	gone  sync.WaitGroup
	first int64
	peak  int64
	exact bool
}

func watchMemory() *memoryWatch {
	w := &memoryWatch{quit: make(chan struct{})}
	if runtime.GOOS == "linux" {
		w.exact = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) == nil
	}
	w.sample()
	w.first = w.peak
	if w.exact {
		return w
	}
	w.gone.Add(1)
	go func() {
		defer w.gone.Done()
		t := time.NewTicker(100 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-w.quit:
				return
			case <-t.C:
				w.sample()
			}
		}
	}()
	return w
}

func (w *memoryWatch) sample() {
	if n, ok := kilobytes("/proc/self/status", "VmRSS:"); ok {
		w.peak = max(w.peak, n)
		return
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.peak = max(w.peak, int64(m.Sys))
}

// stop returns the peak, and what of it came after the beginning.
func (w *memoryWatch) stop() (peak, growth int64) {
	close(w.quit)
	w.gone.Wait()
	w.sample()
	if n, ok := kilobytes("/proc/self/status", "VmHWM:"); w.exact && ok {
		w.peak = n
	}
	return w.peak, max(w.peak-w.first, 0)
}
