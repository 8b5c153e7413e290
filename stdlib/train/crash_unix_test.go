//go:build unix

package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lightbox/runtime/exec"
	"lightbox/runtime/step"
	"lightbox/runtime/store"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
)

// crashSpec is what a child process trains, and how.
type crashSpec struct {
	Store, Model string
	Optimizer    Optimizer
	Limit        uint64 // RLIMIT_FSIZE; 0: none
	Rarely       bool   // checkpoints are written as rarely as in a real run: in this one never
}

func (s crashSpec) systems() model.Systems {
	c := quick()
	c.Epochs, c.Optimizer = 5, s.Optimizer
	return LoRA(models.Load(s.Model), phantoms(), lora.Config{Rank: 96, Dropout: 0.2, TargetModules: []string{"q_proj", "up_proj"}}, c)
}

// executor is that of a real run, on the spec's store.
func (s crashSpec) executor(out io.Writer) (*exec.Executor, error) {
	st, err := store.Open(s.Store)
	if err != nil {
		return nil, err
	}
	return exec.New(exec.Options{Store: st, Recipe: "crash", Command: "lightbox run crash", Seed: 1, Out: out, Version: "test"}), nil
}

// run makes refs and gives their directories.
func (s crashSpec) run(ctx context.Context, out io.Writer, refs ...step.Ref) ([]string, error) {
	e, err := s.executor(out)
	if err != nil {
		return nil, err
	}
	p, err := e.Plan(ctx, refs)
	if err != nil {
		return nil, err
	}
	if _, err := e.Run(ctx, p); err != nil {
		return nil, err
	}
	return e.Dirs(p, refs)
}

func (s crashSpec) adapter() step.Ref { return s.systems().All()[0].Adapters[0] }

const crashEnv = "LIGHTBOX_TEST_CRASH"

// TestCrashChild is the process that dies in the tests below: a run of an executor with a store, a checkpoint after every
// step.
func TestCrashChild(t *testing.T) {
	raw := os.Getenv(crashEnv)
	if raw == "" {
		t.Skip("run by TestCrash and TestFullDisk")
	}
	var s crashSpec
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		t.Fatal(err)
	}
	if s.Limit > 0 {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: s.Limit, Max: s.Limit}); err != nil {
			t.Fatal(err)
		}
	}
	if !s.Rarely {
		checkpointEvery = 0
	}
	if _, err := s.run(context.Background(), os.Stderr, s.adapter()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (s crashSpec) child(t *testing.T, log io.Writer) *osexec.Cmd {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := osexec.Command(os.Args[0], "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), crashEnv+"="+string(raw))
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// result is what a training leaves: adapter and record, byte by byte.
func (s crashSpec) result(t *testing.T) [2]string {
	t.Helper()
	dirs, err := s.run(context.Background(), io.Discard, s.adapter())
	if err != nil {
		t.Fatal(err)
	}
	var out [2]string
	for i, name := range []string{adapterFile, metricsFile} {
		raw, err := os.ReadFile(filepath.Join(dirs[0], name))
		if err != nil {
			t.Fatal(err)
		}
		out[i] = string(raw)
	}
	return out
}

func (s crashSpec) checkpoints(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(s.Store, "scratch", "*", "step", checkpointPrefix+"*.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// damage harms the newest checkpoint as a torn write or a bad disk would, or leaves a half-written one beside it.
func (s crashSpec) damage(t *testing.T, rng *rand.Rand) string {
	list := s.checkpoints(t)
	if len(list) == 0 {
		return ""
	}
	newest := list[len(list)-1]
	raw, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	switch kind := []string{"truncated", "a bit flipped", "half-written"}[rng.IntN(3)]; kind {
	case "truncated":
		testmodel.Put(t, newest, raw[:rng.IntN(len(raw))])
		return kind
	case "a bit flipped":
		raw[rng.IntN(len(raw))] ^= 1 << rng.IntN(8)
		testmodel.Put(t, newest, raw)
		return kind
	default:
		testmodel.Put(t, filepath.Join(filepath.Dir(newest), "."+checkpointPrefix+"00000099.safetensors.123"), raw[:len(raw)/2])
		return kind
	}
}

// TestCrash kills trainings with SIGKILL at random moments, again and again, harms some checkpoints in between, and wants
// the adapter and the record of an undisturbed run, byte by byte, from every training that gets through.
func TestCrash(t *testing.T) {
	want, checkpoint := 4, testmodel.Checkpoint(t)
	if os.Getenv("LIGHTBOX_LONG") != "" {
		want = 50
	}
	rng := rand.New(rand.NewPCG(1, 50))
	kills, ended, harmed := 0, 0, map[string]int{}
	var log bytes.Buffer
	optimizers := []Optimizer{AdamW8bit, AdamW, Adafactor}
	for kills < want {
		s := crashSpec{Store: t.TempDir(), Model: checkpoint, Optimizer: optimizers[ended%len(optimizers)]}
		undisturbed := s
		undisturbed.Store = t.TempDir()
		began := time.Now()
		if err := undisturbed.child(t, io.Discard).Wait(); err != nil {
			t.Fatal(err)
		}
		whole := time.Since(began)
		for of := 0; ; of++ {
			cmd := s.child(t, &log)
			limit := time.Duration(rng.Int64N(int64(whole)))
			if of >= 14 || kills >= want {
				limit = time.Hour
			}
			timer := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
			err := cmd.Wait()
			timer.Stop()
			if err == nil {
				break
			}
			var exit *osexec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("child: %v\n%s", err, &log)
			}
			kills++
			if rng.IntN(3) == 0 {
				if kind := s.damage(t, rng); kind != "" {
					harmed[kind]++
				}
			}
		}
		ended++
		if got, want := s.result(t), undisturbed.result(t); got != want {
			t.Errorf("%q after %d kills: the adapter is the same: %v; the record is the same: %v", s.Optimizer, kills, got[0] == want[0], got[1] == want[1])
		}
		if left, _ := filepath.Glob(filepath.Join(s.Store, "scratch", "*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	all := log.String()
	warned, resumed := strings.Count(all, "is not usable"), strings.Count(all, "resumed at step")
	t.Logf("%d kills in %d trainings, %d resumed from a checkpoint; checkpoints harmed: %v, warnings: %d", kills, ended, resumed, harmed, warned)
	// one that is harmed twice, or whose next reader is killed, is warned of once or never
	if torn := harmed["truncated"] + harmed["a bit flipped"]; warned > torn || torn > 4 && warned < torn/2 {
		t.Errorf("%v harmed, %d warnings\n%s", harmed, warned, all)
	}
	if resumed == 0 && want > 10 {
		t.Error("no training resumed: it tests nothing")
	}
}

// TestFullDisk limits the size of a child's files so that its first checkpoints fit and later ones do not: one clear
// error, the checkpoint before is left, and with room the training goes on to the same bytes.
func TestFullDisk(t *testing.T) {
	s := crashSpec{Store: t.TempDir(), Model: testmodel.Checkpoint(t)}
	want := s
	want.Store = t.TempDir()
	if _, err := s.run(context.Background(), io.Discard, s.adapter().Step().In...); err != nil {
		t.Fatal(err)
	}
	// A checkpoint holds the adapter and two moments, and from the first validation on the best adapter too.
	s.Limit = uint64(len(want.result(t)[0]) * 7 / 2)
	var log bytes.Buffer
	err := s.child(t, &log).Wait()
	var exit *osexec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("%v\n%s", err, &log)
	}
	if text := log.String(); strings.Count(text, "error:") != 1 || !strings.Contains(text, "train.LoRA: the disk of the store is full") || !strings.Contains(text, "writing a checkpoint") || strings.Contains(text, "goroutine") {
		t.Errorf("error:\n%s", text)
	}
	left := s.checkpoints(t)
	halves, _ := filepath.Glob(filepath.Join(s.Store, "scratch", "*", "step", ".*"))
	if len(left) != 2 || len(halves) != 0 {
		t.Fatalf("checkpoints %v, halves %v", left, halves)
	}
	s.Limit = 0
	log.Reset()
	if err := s.child(t, &log).Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	if !strings.Contains(log.String(), "resumed at step 2 ") {
		t.Errorf("it did not resume:\n%s", &log)
	}
	if s.result(t) != want.result(t) {
		t.Error("after the full disk the result differs")
	}
}

// TestFullDiskAtTheEnd: where the adapter itself finds no room, there is one error, no artifact and nothing half-written.
func TestFullDiskAtTheEnd(t *testing.T) {
	s := crashSpec{Store: t.TempDir(), Model: testmodel.Checkpoint(t), Rarely: true}
	if _, err := s.run(context.Background(), io.Discard, s.adapter().Step().In...); err != nil {
		t.Fatal(err)
	}
	before, err := filepath.Glob(filepath.Join(s.Store, "objects", "*"))
	if err != nil {
		t.Fatal(err)
	}
	s.Limit = 50_000
	var log bytes.Buffer
	err = s.child(t, &log).Wait()
	var exit *osexec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("%v\n%s", err, &log)
	}
	if text := log.String(); strings.Count(text, "error:") != 1 || !strings.Contains(text, "train.LoRA: the disk of the store is full") || strings.Contains(text, "goroutine") {
		t.Errorf("error:\n%s", text)
	}
	after, _ := filepath.Glob(filepath.Join(s.Store, "objects", "*"))
	if halves, _ := filepath.Glob(filepath.Join(s.Store, "tmp", "*")); len(after) != len(before) || len(halves) != 0 {
		t.Errorf("%d artifacts, %d before; left behind: %v", len(after), len(before), halves)
	}
	s.Limit = 0
	if err := s.child(t, &log).Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
}

// TestCurves: the frames of a training that was interrupted hold every step once.
func TestCurves(t *testing.T) {
	s := crashSpec{Store: t.TempDir(), Model: testmodel.Checkpoint(t)}
	systems := s.systems().As("system", "LoRA")
	curves, speed := Curves(systems), Speed(systems)
	if curves.Ref().Volatile() || !speed.Ref().Volatile() {
		t.Error("speeds, and they alone, differ from run to run")
	}
	if _, err := s.run(&stopAfter{context.Background(), 20}, io.Discard, curves.Ref()); err == nil {
		t.Fatal("it was not interrupted")
	}
	dirs, err := s.run(context.Background(), io.Discard, curves.Ref(), speed.Ref())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]string{{"system", "step", "loss", "lr", "grad_norm", "valid_loss"}, {"system", "step", "tokens_per_s", "images_per_s", "memory_mb"}} {
		rows, err := frame.Read(dirs[i])
		if err != nil {
			t.Fatal(err)
		}
		if rows.Len() != 15 {
			t.Errorf("%d rows, want one for each of 15 steps", rows.Len())
		}
		for c, col := range rows.Columns() {
			if col.Name != want[c] {
				t.Errorf("column %d is %s, want %s", c, col.Name, want[c])
			}
		}
		for k := range rows.Len() {
			if rows.Number(k, "step") != float64(k+1) {
				t.Errorf("row %d is of step %v", k, rows.Number(k, "step"))
			}
			for _, name := range want[2:] {
				v := rows.Number(k, name)
				if has := v == v; has != (name != "valid_loss" || (k+1)%2 == 0 || k == rows.Len()-1) || has && v < 0 {
					t.Errorf("step %d: %s is %v", k+1, name, v)
				}
			}
		}
	}
	if v, err := curves.View(dirs[:1]); err != nil || v == nil {
		t.Errorf("view: %v", err)
	}
	for _, bad := range []struct {
		systems model.Systems
		want    string
	}{{models.Load(s.Model), "was not trained here: it is made by models.Load"}, {model.Systems{}, "the list is empty"}} {
		errs := Curves(bad.systems).Ref().Errors()
		if len(errs) == 0 || !strings.Contains(errs[0].Error(), bad.want) {
			t.Errorf("%v, want %q", errs, bad.want)
		}
	}
}
