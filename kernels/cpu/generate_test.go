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

// TestGeneratedAssemblyIsCurrent: every generated file names the hashes of the generator that made it and of its own text,
// so that the check needs no generator.
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
		lines := strings.SplitN(string(text), "\n", 4)
		if len(lines) < 4 || lines[1] != want {
			t.Errorf("%s does not come from the present sources of internal/asm: run go generate ./kernels/cpu", f)
		} else if lines[2] != fmt.Sprintf("// content: %x", sha256.Sum256([]byte(lines[3]))) {
			t.Errorf("%s was edited by hand: change internal/asm and run go generate ./kernels/cpu", f)
		}
	}
}
