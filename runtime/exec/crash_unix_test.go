//go:build unix

package exec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func limitFileSize(n uint64) error {
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n})
}

// start runs this test binary as a child that runs the slow step.
func start(t *testing.T, spec childSpec, stderr io.Writer) *exec.Cmd {
	t.Helper()
	raw, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=NONE")
	cmd.Env = append(os.Environ(), "LIGHTBOX_TEST_CHILD="+string(raw))
	cmd.Stderr = stderr
	if spec.UID != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(spec.UID), Gid: uint32(spec.UID)}}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func slowFiles(t *testing.T, root string) [2]string {
	t.Helper()
	_, dirs := runRefs(t, newExec(t, root, nil), slow(300, 0, 100_000))
	return [2]string{content(t, dirs[0], "sum.txt"), content(t, dirs[0], MetricsName)}
}

// TestKill kills a child at random moments, again and again, until one gets
// through; the artifact is that of an undisturbed run.
func TestKill(t *testing.T) {
	want := slowFiles(t, t.TempDir())
	root := t.TempDir()
	var log bytes.Buffer
	kills := 0
	rng := rand.New(rand.NewPCG(1, uint64(os.Getpid())))
	for {
		cmd := start(t, childSpec{Store: root, Steps: 300, Sleep: time.Millisecond, Size: 100_000}, &log)
		limit := 10*time.Millisecond + time.Duration(rng.IntN(150))*time.Millisecond
		if kills >= 12 {
			limit = time.Minute
		}
		timer := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		if err == nil {
			break
		}
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != -1 {
			t.Fatalf("child: %v\n%s", err, &log)
		}
		kills++
	}
	if kills == 0 {
		t.Fatal("nothing was killed")
	}
	runs = nil
	got := slowFiles(t, root) // cached: the child's artifact
	if got != want {
		t.Errorf("after %d kills the artifact differs", kills)
	}
	if left, _ := os.ReadDir(filepath.Join(root, "tmp")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	t.Logf("%d kills", kills)
}

// TestKillWhileCommitting kills children at moments spread over the writing
// of a large artifact: afterwards it is whole or not there at all.
func TestKillWhileCommitting(t *testing.T) {
	const size = 4 << 20
	root := t.TempDir()
	absent, whole := 0, 0
	for i := range 14 {
		dir := filepath.Join(root, strconv.Itoa(i))
		cmd := start(t, childSpec{Store: dir, Steps: 1, Size: size}, io.Discard)
		waitFor(t, func() bool { // from the moment that the artifact is being written
			m, _ := filepath.Glob(filepath.Join(dir, "tmp", "*", "sum.txt"))
			o, _ := filepath.Glob(filepath.Join(dir, "objects", "*"))
			return len(m)+len(o) > 0
		})
		time.Sleep(time.Duration(i*i) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		s := openStore(t, dir)
		keys, err := s.Keys()
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if _, err := s.Verify(k); err != nil {
				t.Errorf("after a kill: %v", err)
			}
		}
		absent += 1 - len(keys)
		whole += len(keys)
	}
	t.Logf("%d absent, %d whole", absent, whole)
}

// TestInterrupt: the first Ctrl-C ends at a checkpoint with 130 and says
// how to resume.
func TestInterrupt(t *testing.T) {
	root := t.TempDir()
	var log bytes.Buffer
	cmd := start(t, childSpec{Store: root, Steps: 5_000, Sleep: time.Millisecond}, &log)
	waitFor(t, func() bool {
		m, _ := filepath.Glob(filepath.Join(root, "scratch", "*", "step", "state"))
		return len(m) > 0
	})
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != InterruptedCode {
		t.Errorf("exit %d\n%s", code, &log)
	}
	for _, want := range []string{"stopping at the next checkpoint", "interrupted; not finished: sum (sum has a checkpoint); resume with the same command: lightbox run toy"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("lacks %q:\n%s", want, &log)
		}
	}
}

func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("timed out")
		}
	}
}

// TestFullDisk limits the size of the child's files: one clear error, the
// checkpoint is kept, and with room the run goes on.
func TestFullDisk(t *testing.T) {
	want := slowFiles(t, t.TempDir())
	root := t.TempDir()
	var log bytes.Buffer
	cmd := start(t, childSpec{Store: root, Steps: 300, Size: 100_000, Limit: 50_000}, &log)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Fatalf("exit %d\n%s", code, &log)
	}
	if s := log.String(); !strings.Contains(s, "toy.go:3:5: sum: toy.Slow: the disk of the store is full") || !strings.Contains(s, "what was finished is kept") || strings.Contains(s, "goroutine") {
		t.Errorf("error:\n%s", s)
	}
	text, _ := runRefs(t, newExec(t, root, nil), slow(300, 0, 100_000))
	if !strings.Contains(text, "resumes from its checkpoint") {
		t.Errorf("plan:\n%s", text)
	}
	if got := slowFiles(t, root); got != want {
		t.Error("the artifact differs after the full disk")
	}
}

// TestTwoRuns starts two processes on one store: one makes the artifact, the
// other waits for it and shares it.
func TestTwoRuns(t *testing.T) {
	root := t.TempDir()
	var logs [2]bytes.Buffer
	var cmds [2]*exec.Cmd
	for i := range cmds {
		cmds[i] = start(t, childSpec{Store: root, Steps: 300, Sleep: 2 * time.Millisecond, Size: 100_000}, &logs[i])
	}
	for i, c := range cmds {
		if err := c.Wait(); err != nil {
			t.Fatalf("run %d: %v\n%s", i, err, &logs[i])
		}
	}
	both := logs[0].String() + logs[1].String()
	if strings.Count(both, "done in") != 1 || strings.Count(both, "waiting for another run that is making it (process ") != 1 {
		t.Errorf("logs:\n%s", both)
	}
	if got := slowFiles(t, root); got != slowFiles(t, t.TempDir()) {
		t.Error("the shared artifact differs")
	}
}

// TestDeadOwner: a killed run's lock holds nobody up.
func TestDeadOwner(t *testing.T) {
	root := t.TempDir()
	cmd := start(t, childSpec{Store: root, Steps: 5_000, Sleep: time.Millisecond}, io.Discard)
	waitFor(t, func() bool {
		m, _ := filepath.Glob(filepath.Join(root, "scratch", "*", "step", "state"))
		return len(m) > 0
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	var out bytes.Buffer
	runRefs(t, newExec(t, root, &out), slow(5_000, 0, 0))
	if strings.Contains(out.String(), "waiting") {
		t.Errorf("waited for a dead process: %s", &out)
	}
}

// TestReadOnlyStore reads from a store that cannot be written, and gets one
// error before any work when something must run. As root the child drops its
// rights, since root may write anywhere.
func TestReadOnlyStore(t *testing.T) {
	outer, err := os.MkdirTemp("", "lightbox-readonly")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(outer, "store")
	t.Cleanup(func() {
		_ = filepath.WalkDir(outer, func(p string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				_ = os.Chmod(p, 0o755)
			}
			return nil
		})
		_ = os.RemoveAll(outer)
	})
	runRefs(t, newExec(t, root, nil), slow(300, 0, 100))
	_ = os.Chmod(outer, 0o755)
	_ = filepath.WalkDir(root, func(p string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			return os.Chmod(p, 0o555)
		}
		return err
	})
	uid := 0
	if os.Getuid() == 0 {
		uid = 65534
		if err := copyFile(os.Args[0], filepath.Join(outer, "child")); err != nil {
			t.Fatal(err)
		}
		defer func(was string) { os.Args[0] = was }(os.Args[0])
		os.Args[0] = filepath.Join(outer, "child")
	}
	var log bytes.Buffer
	cmd := start(t, childSpec{Store: root, Steps: 300, Size: 100, UID: uid}, &log)
	if err := cmd.Wait(); err != nil {
		t.Errorf("a cached read failed: %v\n%s", err, &log)
	}
	log.Reset()
	cmd = start(t, childSpec{Store: root, Steps: 301, Size: 100, UID: uid}, &log)
	_ = cmd.Wait()
	if s := log.String(); cmd.ProcessState.ExitCode() != 1 || !strings.HasPrefix(s, "1 step must run but the store cannot be written") || strings.Count(s, "\n") != 1 {
		t.Errorf("exit %d: %s", cmd.ProcessState.ExitCode(), s)
	}
}

func copyFile(from, to string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, raw, 0o755)
}
