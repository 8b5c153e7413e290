package cpu

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// Path is a set of instructions that the kernels of this package are written for.
//
// Go, AVX2 and AVX512 give the same bits. BF16 rounds the activations of matrix products to bfloat16; it is never chosen
// unless asked for.
type Path uint8

// The paths, from the plainest to the fastest.
const (
	Go     Path = iota // plain Go, the reference of the others; on every machine
	AVX2               // 256-bit vectors with FMA and F16C
	AVX512             // 512-bit vectors
	BF16               // AVX512 with VDPBF16PS in matrix products whose right-hand side is bfloat16
	paths              // their number
)

// PathVariable is the environment variable that forces a path: go, avx2, avx512 or bf16.
const PathVariable = "LIGHTBOX_CPU"

// String is the name that the environment variable takes.
func (p Path) String() string {
	if names := pathNames(); int(p) < len(names) {
		return names[p]
	}
	return fmt.Sprintf("Path(%d)", uint8(p))
}

func pathNames() []string { return []string{"go", "avx2", "avx512", "bf16"} }

// chosen is the path in use plus one; 0 until the first use.
var chosen atomic.Uint32

// fromEnvironment reads the variable at the first use.
var fromEnvironment = sync.OnceValue(func() error { return Choose(os.Getenv(PathVariable)) })

// Current is the path in use: that of the environment variable, else the fastest of the machine that gives the
// reference's bits. It panics where the variable names no path, or one that the machine lacks; Choose(os.Getenv(…)) at a
// program's start gives the same as an error.
func Current() Path {
	if p := chosen.Load(); p != 0 {
		return Path(p - 1)
	}
	if err := fromEnvironment(); err != nil {
		panic(err)
	}
	return Path(chosen.Load() - 1)
}

// Choose sets the path by name; "" is the machine's default. The error of an unknown or missing path lists the usable ones.
func Choose(name string) error {
	if name == "" {
		p := Go
		for _, q := range []Path{AVX2, AVX512} {
			if q.Missing() == "" {
				p = q
			}
		}
		chosen.Store(uint32(p) + 1)
		return nil
	}
	var usable []string
	for p := Go; p < paths; p++ {
		if p.Missing() == "" {
			usable = append(usable, p.String())
		}
	}
	for p := Go; p < paths; p++ {
		if p.String() != name {
			continue
		}
		if lack := p.Missing(); lack != "" {
			return fmt.Errorf("%s=%s: this processor lacks %s; it has the paths %s", PathVariable, name, lack, strings.Join(usable, ", "))
		}
		chosen.Store(uint32(p) + 1)
		return nil
	}
	return fmt.Errorf("%s=%s: no such path; this processor has %s", PathVariable, name, strings.Join(usable, ", "))
}

// Missing names the processor features that p needs and this machine lacks; "" where p can be used.
func (p Path) Missing() string {
	var lack []string
	for _, f := range features() {
		if f.path <= p && !f.has {
			lack = append(lack, f.name)
		}
	}
	return strings.Join(lack, ", ")
}

// feature is a property of the processor that a path, and every faster one, needs.
type feature struct {
	path Path
	name string
	has  bool
}
