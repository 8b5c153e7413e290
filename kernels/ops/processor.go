package ops

import (
	"os"

	"lightbox/kernels/cpu"
)

// Path describes a set of CPU instructions that the kernels can use.
type Path struct {
	Name    string // as LIGHTBOX_CPU takes it: "avx2"
	Missing string // the processor features that it lacks here; "" where it can be used
	Chosen  bool
}

// Paths lists the CPU's paths from the plainest to the fastest.
func Paths() []Path {
	var out []Path
	for _, p := range []cpu.Path{cpu.Go, cpu.AVX2, cpu.AVX512, cpu.BF16} {
		out = append(out, Path{Name: p.String(), Missing: p.Missing(), Chosen: p == cpu.Current()})
	}
	return out
}

// ChoosePath settles the CPU's path from LIGHTBOX_CPU; call it at a program's start. The error of an unknown path, or one
// that the machine lacks, lists the usable ones.
func ChoosePath() error { return cpu.Choose(os.Getenv(cpu.PathVariable)) }

// PathName is the CPU's path in use.
func PathName() string { return cpu.Current().String() }
