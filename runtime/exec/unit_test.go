package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/runtime/step"
)

type chorusParams struct {
	Voice string
	Steps int
	Key   string `key:"local"`
}

// chorusOp counts to Steps, and so do others with the same Key at the same time. A voice that is called "bad" fails.
func chorusOp(sung *[]string, cancelAt int, cancel func()) *step.Op {
	run := func(ctxs []*step.Context, dirs []string) []error {
		errs := make([]error, len(ctxs))
		var names []string
		at := make([]int, len(ctxs))
		files := make([]string, len(ctxs))
		for i, c := range ctxs {
			names = append(names, c.Step().Params.(chorusParams).Voice)
			scratch, err := c.Scratch()
			if err != nil {
				errs[i] = err
				return errs
			}
			files[i] = filepath.Join(scratch, "at")
			if raw, err := os.ReadFile(files[i]); err == nil {
				_, _ = fmt.Sscan(string(raw), &at[i])
			}
		}
		*sung = append(*sung, strings.Join(names, "+"))
		for i, c := range ctxs {
			p := c.Step().Params.(chorusParams)
			for ; at[i] < p.Steps; at[i]++ {
				if cancel != nil && at[i] == cancelAt {
					cancel()
				}
				if errs[i] = c.Err(); errs[i] != nil {
					errs[i] = errors.Join(errs[i], os.WriteFile(files[i], fmt.Append(nil, at[i]), 0o644))
					break
				}
				c.Metric("pitch", int64(at[i]), float64(at[i]))
				c.Progress(int64(at[i]+1), int64(p.Steps), "")
			}
			if p.Voice == "bad" {
				errs[i] = errors.New("out of tune")
			}
			if p.Voice == "panic" {
				panic("breathless")
			}
			if errs[i] == nil {
				errs[i] = os.WriteFile(filepath.Join(dirs[i], "song.txt"), []byte(p.Voice), 0o644)
			}
		}
		return errs
	}
	return &step.Op{Name: "toy.Sing", Version: "1",
		Cost: func(step.Step) step.Cost { return step.Cost{FLOPs: 1e9, PeakBytes: 100, DiskBytes: 5} },
		Run:  func(c *step.Context, dir string) error { return run([]*step.Context{c}, []string{dir})[0] },
		Together: &step.Together{
			Key: func(s step.Step) string { return s.Params.(chorusParams).Key },
			Cost: func(all []step.Step) step.Cost {
				return step.Cost{FLOPs: 6e8 * float64(len(all)), PeakBytes: 60 + 40*int64(len(all)), DiskBytes: 5 * int64(len(all))}
			},
			Run: run,
		},
	}
}

// choir builds a step of the recipe's variable of that name.
func choir(op *step.Op, name, key string, in ...step.Ref) step.Ref {
	return inVar(name, func() step.Ref { return step.New(op, chorusParams{name, 30, key}, in...) })
}

func TestStepsRunTogether(t *testing.T) {
	var sung []string
	op := chorusOp(&sung, 0, nil)
	dir := t.TempDir()
	in := writeFile(t, filepath.Join(dir, "in.txt"), "1\n")
	var out bytes.Buffer
	e := newExec(t, filepath.Join(dir, "store"), &out)
	a, b := choir(op, "a", "x"), choir(op, "b", "")
	late := choir(op, "late", "x", inVar("n", func() step.Ref { return read(in, 0) }))
	c, d := choir(op, "c", "x", a), choir(op, "d", "y") // c needs a, so that it cannot run with it
	text, dirs := runRefs(t, e, a, b, c, d, late)
	if want := []string{"b", "d", "a+late", "c"}; !slices.Equal(sung, want) {
		t.Errorf("sung %v, want %v", sung, want)
	}
	for i, want := range []string{"a", "b", "c", "d", "late"} {
		if got := content(t, dirs[i], "song.txt"); got != want {
			t.Errorf("%s holds %q", want, got)
		}
		if !strings.Contains(content(t, dirs[i], MetricsName), `{"step":29,"name":"pitch","value":29}`) {
			t.Errorf("%s: no metrics", want)
		}
	}
	for _, want := range []string{"a     toy.Sing  will run, because it is new, together with late, 2 in all [140 B memory, 1.2 GFLOP]", "c     toy.Sing  will run, because it is new [100 B memory, 1 GFLOP]"} {
		if !strings.Contains(text, want) {
			t.Errorf("the plan lacks %q:\n%s", want, text)
		}
	}
	if !strings.Contains(out.String(), "4-5/6 a toy.Sing, 2 together") {
		t.Errorf("shown:\n%s", &out)
	}
	// One is there already: the others run without it.
	sung = nil
	more := choir(op, "more", "x")
	runRefs(t, e, a, choir(op, "other", "x"), more, late)
	if want := []string{"other+more"}; !slices.Equal(sung, want) {
		t.Errorf("sung %v, want %v", sung, want)
	}
	m, err := e.Store().Manifest(e.planned(t, more).Key)
	if err != nil || m.Together != 2 || m.Cost.FLOPs != 6e8 {
		t.Errorf("manifest %+v, %v", m, err)
	}
}

func (e *Executor) planned(t *testing.T, r step.Ref) *Item {
	t.Helper()
	p, err := e.Plan(context.Background(), []step.Ref{r})
	if err != nil {
		t.Fatal(err)
	}
	return p.Item(r)
}

// TestUnitsFitIntoMemory splits what does not.
func TestUnitsFitIntoMemory(t *testing.T) {
	for free, want := range map[int64]string{1000: "1+2+3+4+5", 260: "1+2+3+4+5", 259: "1+2+3+4 5", 180: "1+2+3 4+5", 140: "1+2 3+4 5", 139: "1 2 3 4 5"} {
		var sung []string
		op := chorusOp(&sung, 0, nil)
		e := newExec(t, t.TempDir(), nil)
		e.free = func() (int64, bool) { return free, true }
		var refs []step.Ref
		for i := range 5 {
			refs = append(refs, choir(op, fmt.Sprint(i+1), "x"))
		}
		text, _ := runRefs(t, e, refs...)
		if got := strings.Join(sung, " "); got != want {
			t.Errorf("%d bytes free: sung %s, want %s\n%s", free, got, want, text)
		}
	}
}

// TestOneOfManyFails: the others are kept, and the error names the one.
func TestOneOfManyFails(t *testing.T) {
	var sung []string
	op := chorusOp(&sung, 0, nil)
	e := newExec(t, t.TempDir(), nil)
	refs := []step.Ref{choir(op, "a", "x"), choir(op, "bad", "x"), choir(op, "c", "x")}
	p, err := e.Plan(context.Background(), refs)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := e.Run(context.Background(), p)
	if err == nil || err.Error() != "toy.go:3:5: bad: toy.Sing: out of tune" || len(rep.Ran) != 2 {
		t.Errorf("%v, %+v", err, rep)
	}
	sung = nil
	runRefs(t, e, refs[0], refs[2])
	if len(sung) > 0 {
		t.Errorf("%v is made again", sung)
	}
	p, err = e.Plan(context.Background(), []step.Ref{choir(op, "d", "y"), choir(op, "panic", "y")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = e.Run(context.Background(), p); err == nil || strings.Count(err.Error(), "internal error: breathless") != 2 {
		t.Error(err)
	}
}

// TestCancelledTogether interrupts a unit; each resumes from its own checkpoint.
func TestCancelledTogether(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	var sung []string
	op := chorusOp(&sung, 12, cancel)
	e := newExec(t, dir, nil)
	refs := []step.Ref{choir(op, "a", "x"), choir(op, "b", "x")}
	p, err := e.Plan(ctx, refs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = e.Run(ctx, p); !errors.Is(err, ErrInterrupted) || !strings.Contains(err.Error(), "not finished: a, b (a has a checkpoint)") {
		t.Fatal(err)
	}
	sung = nil
	op = chorusOp(&sung, 0, nil)
	text, dirs := runRefs(t, newExec(t, dir, nil), choir(op, "a", "x"), choir(op, "b", "x"))
	if !slices.Equal(sung, []string{"a+b"}) || !strings.Contains(text, "it was interrupted (resumes from its checkpoint), together with") {
		t.Errorf("sung %v; plan:\n%s", sung, text)
	}
	for _, d := range dirs {
		if n := strings.Count(content(t, d, MetricsName), "\n"); n != 30 {
			t.Errorf("%d metrics, want 30", n)
		}
	}
}

// TestArrangementWithoutDeadlock: two kinds of steps that each wait for the other.
func TestArrangementWithoutDeadlock(t *testing.T) {
	var sung []string
	op := chorusOp(&sung, 0, nil)
	a1, b2 := choir(op, "a1", "a"), choir(op, "b2", "b")
	runRefs(t, newExec(t, t.TempDir(), nil), choir(op, "a2", "a", b2), choir(op, "b1", "b", a1))
	if want := []string{"b2", "a2+a1", "b1"}; !slices.Equal(sung, want) {
		t.Errorf("sung %v, want %v", sung, want)
	}
}
