package cpu

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// TestGeneratedAssemblyIsCurrent: every generated file names the hash of the generator that made it. It needs no generator,
// only its sources; whether the outputs were edited by hand since is what running go generate and git diff shows.
func TestGeneratedAssemblyIsCurrent(t *testing.T) {
	names, err := filepath.Glob("internal/asm/*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("no sources of the generator: %v", err)
	}
	sort.Strings(names)
	h := sha256.New()
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(h, "%s %d\n", filepath.Base(name), len(data))
		h.Write(data)
	}
	want := fmt.Sprintf("// sources: %x", h.Sum(nil))
	files, _ := filepath.Glob("asm_*_amd64.*")
	if len(files) < 12 {
		t.Fatalf("%d generated files, want at least 12", len(files))
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.SplitN(string(text), "\n", 3); len(lines) < 3 || lines[1] != want {
			t.Errorf("%s does not come from the present sources of internal/asm: run go generate ./kernels/cpu", f)
		}
	}
}
