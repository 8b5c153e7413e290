package cpu

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestChoose: names, the default, and what the errors say.
func TestChoose(t *testing.T) {
	before := Current()
	defer func() { chosen.Store(uint32(before) + 1) }()
	for p := Go; p < paths; p++ {
		err := Choose(p.String())
		if lack := p.Missing(); lack != "" {
			if err == nil || !strings.Contains(err.Error(), PathVariable+"="+p.String()+": this processor lacks "+lack) {
				t.Errorf("Choose(%q) on a machine that lacks %s: %v", p, lack, err)
			}
			continue
		}
		if err != nil || Current() != p {
			t.Errorf("Choose(%q): %v, path in use %v", p, err, Current())
		}
	}
	err := Choose("sse")
	if err == nil || !strings.Contains(err.Error(), "LIGHTBOX_CPU=sse: no such path; this processor has go") {
		t.Errorf("Choose of an unknown path: %v", err)
	}
	if err := Choose(""); err != nil {
		t.Fatal(err)
	}
	if p := Current(); p == BF16 || p == Go && AVX2.Missing() == "" {
		t.Errorf("the default path is %v", p)
	}
}

// TestPathFromEnvironment runs this test binary anew under the variable, since it is read once.
func TestPathFromEnvironment(t *testing.T) {
	if os.Getenv("LIGHTBOX_TEST_PATH") == "child" {
		Gemm(GemmArgs{M: 1, N: 1, K: 1, A: []float32{2}, B: Mat{F32: []float32{3}}, C: []float32{0}})
		t.Logf("in use: %v", Current())
		return
	}
	for env, want := range map[string]string{"go": "in use: go", "mmx": "LIGHTBOX_CPU=mmx: no such path"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestPathFromEnvironment$", "-test.v")
		cmd.Env = append(os.Environ(), "LIGHTBOX_TEST_PATH=child", PathVariable+"="+env)
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.ENOEXEC) {
			t.Skip("this machine cannot run the test binary anew (an emulator?)")
		}
		if !strings.Contains(string(out), want) || (env == "go") != (err == nil) {
			t.Errorf("with %s=%s: %v, output %s; want %q", PathVariable, env, err, out, want)
		}
	}
}
