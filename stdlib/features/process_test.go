package features_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/models"
)

// sharedVariable names the cache of the processes of TestProcesses; only these have it.
const sharedVariable = "LIGHTBOX_TEST_SHARED_FEATURES"

// TestProcesses: processes that write the same files at the same time, and remove each other's, give the model's own rows; one
// is killed while it writes.
func TestProcesses(t *testing.T) {
	base, set := models.Tiny("llava"), pictures(t)
	r := testmodel.NewRunner(t)
	if dir := os.Getenv(sharedVariable); dir != "" {
		r.Cache = dir
		for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); {
			known(t, r, base, set) // fails where rows differ
			left, _ := filepath.Glob(filepath.Join(dir, "*", "??", "*"))
			for i, name := range left {
				if i%2 == 0 {
					os.Remove(name)
				}
			}
		}
		return
	}
	var all []*exec.Cmd
	for range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestProcesses$")
		cmd.Env = append(os.Environ(), sharedVariable+"="+r.Cache)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	time.Sleep(700 * time.Millisecond)
	if err := all[0].Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = all[0].Wait()
	for _, cmd := range all[1:] {
		if err := cmd.Wait(); err != nil {
			t.Errorf("a process beside the killed one: %v", err)
		}
	}
	known(t, r, base, set)
	if n, _ := known(t, r, base, set); n != len(sizes) {
		t.Errorf("%d known in the end, want %d", n, len(sizes))
	}
}
