package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"lightbox/runtime/step"
	"lightbox/runtime/store"
)

// The toy verbs: read numbers from a file, add to them, and a slow sum that
// checkpoints, as training does.

type readParams struct {
	Path string `key:"local"`
	Skip int
}

var runs []string // names of the operations that ran, in order

func readOp(version string) *step.Op {
	return &step.Op{
		Name: "toy.Read", Version: version,
		Check: func(s step.Step) []error {
			if s.Params.(readParams).Skip < 0 {
				return []error{errors.New("skip must not be negative, got -1")}
			}
			return nil
		},
		Files: func(s step.Step) ([]string, error) { return []string{s.Params.(readParams).Path}, nil },
		Run: func(c *step.Context, dir string) error {
			runs = append(runs, "read")
			raw, err := os.ReadFile(c.Step().Params.(readParams).Path)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "numbers.txt"), raw, 0o644)
		},
	}
}

func read(path string, skip int) step.Ref { return step.New(readOp("1"), readParams{path, skip}) }

type addParams struct {
	N    int
	Deep struct{ Name string }
}

func addOp() *step.Op {
	return &step.Op{
		Name: "toy.Add", Version: "1",
		Cost: func(s step.Step) step.Cost { return step.Cost{FLOPs: 1e9, PeakBytes: 1 << 20} },
		Run: func(c *step.Context, dir string) error {
			runs = append(runs, "add")
			raw, err := os.ReadFile(filepath.Join(c.Input(0), "numbers.txt"))
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(strings.TrimSpace(string(raw)))
			if err != nil {
				return fmt.Errorf("numbers.txt: %w", err)
			}
			c.Logf("adding %d", c.Step().Params.(addParams).N)
			return os.WriteFile(filepath.Join(dir, "numbers.txt"), fmt.Appendf(nil, "%d\n", n+c.Step().Params.(addParams).N), 0o644)
		},
	}
}

func add(in step.Ref, n int) step.Ref { return step.New(addOp(), addParams{N: n}, in) }

type slowParams struct {
	Steps, Bytes int
	Sleep        time.Duration `key:"local"`
}

// slowOp hashes its way through Steps states, checkpointing every 10.
func slowOp() *step.Op {
	return &step.Op{Name: "toy.Slow", Version: "1", Seeded: true, Run: func(c *step.Context, dir string) error {
		p := c.Step().Params.(slowParams)
		scratch, err := c.Scratch()
		if err != nil {
			return err
		}
		at, state := int64(0), c.Seed
		if raw, err := os.ReadFile(filepath.Join(scratch, "state")); err == nil {
			if _, err := fmt.Sscan(string(raw), &at, &state); err != nil {
				return err
			}
		}
		save := func() error {
			tmp := filepath.Join(scratch, "new")
			if err := os.WriteFile(tmp, fmt.Appendf(nil, "%d %d", at, state), 0o644); err != nil {
				return err
			}
			return os.Rename(tmp, filepath.Join(scratch, "state"))
		}
		for ; at < int64(p.Steps); at++ {
			if at%10 == 0 {
				if err := save(); err != nil {
					return err
				}
			}
			if err := c.Err(); err != nil {
				return err
			}
			state = state*6364136223846793005 + 1442695040888963407
			c.Metric("loss", at, float64(state>>40)/1e3)
			c.Progress(at+1, int64(p.Steps), "")
			time.Sleep(p.Sleep)
		}
		body := bytes.Repeat(fmt.Appendf(nil, "%d\n", state), 1+p.Bytes/20)
		return os.WriteFile(filepath.Join(dir, "sum.txt"), body, 0o644)
	}}
}

func slow(steps int, sleep time.Duration, size int) step.Ref {
	return step.New(slowOp(), slowParams{steps, size, sleep})
}

// inVar makes a step as evaluating the named variable does.
func inVar(name string, f func() step.Ref) step.Ref {
	defer step.Enter(step.Scope{Var: name, Pos: "toy.go:3:5"})()
	return f()
}

func openStore(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newExec(t testing.TB, dir string, out *bytes.Buffer) *Executor {
	t.Helper()
	o := Options{Store: openStore(t, dir), Recipe: "toy", Command: "lightbox run toy", Seed: 7,
		Device: Device{Kind: "cpu", ISA: "avx2"}, Version: "test"}
	if out != nil {
		o.Out = out
	}
	return New(o)
}

// runRefs plans and runs, and returns the plan's text before the run.
func runRefs(t testing.TB, e *Executor, refs ...step.Ref) (string, []string) {
	t.Helper()
	p, err := e.Plan(context.Background(), refs)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := p.Write(&text); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Run(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	dirs, err := e.Dirs(p, refs)
	if err != nil {
		t.Fatal(err)
	}
	return text.String(), dirs
}

func writeFile(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func content(t testing.TB, dir, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestMain runs a child's part of a test when the environment asks for it.
func TestMain(m *testing.M) {
	if spec := os.Getenv("LIGHTBOX_TEST_CHILD"); spec != "" {
		child(spec)
		return
	}
	os.Exit(m.Run())
}

type childSpec struct {
	Store string
	Steps int
	Sleep time.Duration
	Size  int
	Limit uint64 // RLIMIT_FSIZE
	UID   int
}

// child runs the slow step against a store, under real signals.
func child(text string) {
	var spec childSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	ctx, stop := Interruptible(context.Background(), os.Stderr)
	defer stop()
	if spec.Limit > 0 {
		if err := limitFileSize(spec.Limit); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
	}
	s, err := store.Open(spec.Store)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	e := New(Options{Store: s, Recipe: "toy", Command: "lightbox run toy", Seed: 7, Out: os.Stderr})
	p, err := e.Plan(ctx, []step.Ref{inVar("sum", func() step.Ref { return slow(spec.Steps, spec.Sleep, spec.Size) })})
	if err == nil {
		_, err = e.Run(ctx, p)
	}
	switch {
	case errors.Is(err, ErrInterrupted):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(InterruptedCode)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
