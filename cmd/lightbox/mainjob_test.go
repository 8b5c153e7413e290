package main

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lightbox/runtime/exec"
)

// TestMain is the program itself when a test starts it as a child.
func TestMain(m *testing.M) {
	if os.Getenv("LIGHTBOX_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// child is the program as a process of its own.
func child(output *bytes.Buffer, args ...string) *osexec.Cmd {
	cmd := osexec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "LIGHTBOX_TEST_MAIN=1")
	cmd.Stdout, cmd.Stderr = output, output
	return cmd
}

// mini copies the recipe of the main job in miniature: nobody pretrained its
// model, but everything is there: LoRA training, captions, scores, a table.
func mini(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mini")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "mini"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func lockOf(t *testing.T, dir string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "mini.lock.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// training reports whether a run in dir has begun to train.
func training(dir string) bool {
	m, _ := filepath.Glob(filepath.Join(dir, ".lightbox", "scratch", "*", "metrics.jsonl"))
	return len(m) > 0
}

func wait(t *testing.T, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("timed out")
		}
	}
}

// TestMainJob runs the main job whole; and once more with one Ctrl-C in the
// middle of training, kill -9 at random moments, and another number of
// threads. Both leave the same lock file: the same keys, the same bits of
// every artifact, the same numbers.
func TestMainJob(t *testing.T) {
	whole := mini(t)
	var first, second bytes.Buffer
	begin := time.Now()
	if err := child(&first, "run", whole).Run(); err != nil {
		t.Fatalf("%v\n%s", err, &first)
	}
	took := time.Since(begin)
	if s := first.String(); !strings.Contains(s, "+Modality") || !strings.Contains(s, "train.LoRA") || !strings.Contains(s, "random weights base (") || !strings.Contains(s, "adapter adapted (") {
		t.Errorf("output:\n%s", s)
	}
	if err := child(&second, "run", whole).Run(); err != nil || !strings.Contains(second.String(), "nothing was run") {
		t.Errorf("the second run worked: %v\n%s", err, &second)
	}

	hurt := mini(t)
	var log bytes.Buffer
	cmd := child(&log, "run", hurt, "--threads", "3")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait(t, func() bool { return training(hurt) })
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exec.InterruptedCode {
		t.Fatalf("exit %d after Ctrl-C\n%s", code, &log)
	}
	for _, want := range []string{"adapted has a checkpoint", "resume with the same command: lightbox run " + hurt + " --threads 3"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("lacks %q:\n%s", want, &log)
		}
	}
	kills := killUntilDone(t, hurt, took, &log)
	if !strings.Contains(log.String(), "resum") {
		t.Errorf("nothing was resumed:\n%s", &log)
	}
	if got, want := lockOf(t, hurt), lockOf(t, whole); got != want {
		t.Errorf("after Ctrl-C and %d kills the lock file differs:\n%s\nwant\n%s", kills, got, want)
	}
	t.Logf("%d kills, %v undisturbed", kills, took.Round(time.Millisecond))
}

// killUntilDone runs the recipe again and again, killing it at random moments
// of the time that it takes, at most three times.
func killUntilDone(t *testing.T, dir string, took time.Duration, log *bytes.Buffer) (kills int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(2, uint64(os.Getpid())))
	for {
		cmd := child(log, "run", dir, "--threads", "3")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		limit := took/10 + time.Duration(rng.Int64N(int64(took/3)))
		if kills >= 3 {
			limit = time.Minute
		}
		timer := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		if err == nil {
			return kills
		}
		var exit *osexec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != -1 {
			t.Fatalf("%v\n%s", err, log)
		}
		kills++
	}
}
