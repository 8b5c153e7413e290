package exec

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/runtime/store"
)

// Number is lightbox's version.
const Number = "0.1.0"

// Version is lightbox's version with the commit it was built from, if known.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Number
	}
	commit, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = "+" + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = ".dirty"
		}
	}
	return Number + commit + dirty
}

// Doctor prints what the machine offers and what is wrong with it. Data are
// directories that recipes declare, by parameter name. It reports whether
// nothing is wrong.
func Doctor(w io.Writer, root string, data map[string]string) bool {
	d := &doctor{w: w, well: true}
	d.line("lightbox", "%s, %s, %s/%s", Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	d.processor()
	d.memory()
	d.gpu()
	d.store(root)
	d.data(data)
	d.models()
	return d.well
}

type doctor struct {
	w    io.Writer
	well bool
}

func (d *doctor) line(what, format string, a ...any) {
	fmt.Fprintf(d.w, "%-12s %s\n", what, fmt.Sprintf(format, a...))
}

func (d *doctor) bad(what, format string, a ...any) {
	d.well = false
	d.line(what, "PROBLEM: "+format, a...)
}

func (d *doctor) processor() {
	d.line("processor", "%s, %d threads", processor(), runtime.NumCPU())
	if err := ops.ChoosePath(); err != nil {
		d.bad("instructions", "%v", err)
		return
	}
	var parts []string
	for _, p := range ops.Paths() {
		switch {
		case p.Chosen && os.Getenv("LIGHTBOX_CPU") != "":
			parts = append(parts, p.Name+" (in use, forced by LIGHTBOX_CPU)")
		case p.Chosen:
			parts = append(parts, p.Name+" (in use)")
		case p.Missing != "":
			parts = append(parts, p.Name+" (no: lacks "+p.Missing+")")
		default:
			parts = append(parts, p.Name)
		}
	}
	d.line("instructions", "%s", strings.Join(parts, ", "))
	r := Measure()
	d.line("speed", "%.3g GFLOP/s in f32 matrix products, %.3g GB/s from memory", r.FLOPs/1e9, r.Bytes/1e9)
}

func (d *doctor) memory() {
	total, ok1 := totalMemory()
	free, ok2 := availableMemory()
	if !ok1 || !ok2 {
		d.line("memory", "unknown on this system")
		return
	}
	d.line("memory", "%s, %s free", Bytes(total), Bytes(free))
}

// gpu looks for NVIDIA's driver library where the loader would.
func (d *doctor) gpu() {
	dirs := filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))
	dirs = append(dirs, "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/lib/wsl/lib", "/usr/local/cuda/compat")
	for _, dir := range dirs {
		lib := filepath.Join(dir, "libcuda.so.1")
		if _, err := os.Stat(lib); err == nil {
			d.line("gpu", "driver %s found; this build computes on the CPU only", lib)
			return
		}
	}
	d.line("gpu", "none")
}

func (d *doctor) store(root string) {
	s, err := store.Open(root)
	if err != nil {
		d.bad("store", "%v", err)
		return
	}
	size, n := s.Size()
	free := ""
	if f, ok := s.Free(); ok {
		free = ", " + Bytes(f) + " free on its disk"
	}
	where := fmt.Sprintf("%s: %d artifacts, %s%s", s.Root(), n, Bytes(size), free)
	if _, err := os.Stat(root); os.IsNotExist(err) {
		d.line("store", "%s: not there yet%s", s.Root(), free)
		return
	}
	if err := s.Writable(); err != nil {
		d.bad("store", "%s; %v", where, err)
		return
	}
	d.line("store", "%s", where)
}

func (d *doctor) data(data map[string]string) {
	names := map[string]bool{}
	for n := range data {
		names[n] = true
	}
	for _, n := range sortedNames(names) {
		if _, err := os.Stat(data[n]); err != nil {
			d.line("data", "%s: %s is not there (give its place with --set %s=DIR)", n, data[n], n)
			continue
		}
		d.line("data", "%s: %s", n, data[n])
	}
}

// models says where Hugging Face checkpoints are looked for.
func (d *doctor) models() {
	home := os.Getenv("HF_HOME")
	if home == "" {
		if dir, err := os.UserHomeDir(); err == nil {
			home = filepath.Join(dir, ".cache", "huggingface")
		}
	}
	found, _ := filepath.Glob(filepath.Join(home, "hub", "models--*", "snapshots", "*"))
	d.line("models", "%d checkpoints in the Hugging Face cache %s", len(found), home)
}
