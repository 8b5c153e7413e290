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
	"time"

	"lightbox/runtime/lock"
	"lightbox/runtime/step"
)

func TestSecondRunDoesNothing(t *testing.T) {
	dir := t.TempDir()
	in := writeFile(t, filepath.Join(dir, "in.txt"), "40\n")
	build := func() step.Ref {
		a := inVar("a", func() step.Ref { return read(in, 0) })
		return inVar("b", func() step.Ref { return add(a, 2) })
	}
	runs = nil
	text, dirs := runRefs(t, newExec(t, filepath.Join(dir, "store"), nil), build())
	if !strings.Contains(text, "2 of 2 steps will run") || !strings.Contains(text, "because it is new") {
		t.Errorf("plan:\n%s", text)
	}
	if got := content(t, dirs[0], "numbers.txt"); got != "42\n" {
		t.Errorf("result %q", got)
	}
	// Another process, with other positions and names: nothing is run.
	defer step.Enter(step.Scope{Var: "renamed", Pos: "toy.go:99:1"})()
	text, dirs2 := runRefs(t, newExec(t, filepath.Join(dir, "store"), nil), add(read(in, 0), 2))
	if !slices.Equal(runs, []string{"read", "add"}) || !strings.Contains(text, "nothing to run") || dirs[0] != dirs2[0] {
		t.Errorf("ran %v; plan:\n%s", runs, text)
	}
	if !strings.Contains(text, "cached (made 20") || !strings.Contains(text, "on cpu avx2)") {
		t.Errorf("plan does not say where the artifacts were made:\n%s", text)
	}
}

// TestBecause changes one thing at a time: only what depends on it runs, and
// the plan says why.
func TestBecause(t *testing.T) {
	dir := t.TempDir()
	in := writeFile(t, filepath.Join(dir, "in.txt"), "40\n")
	type world struct {
		version  string
		n, skip  int
		file     string
		deep     string
		seed     uint64
		addInput bool
	}
	build := func(w world) []step.Ref {
		a := inVar("a", func() step.Ref { return step.New(readOp(w.version), readParams{w.file, w.skip}) })
		b := inVar("b", func() step.Ref {
			p := addParams{N: w.n}
			p.Deep.Name = w.deep
			ins := []step.Ref{a}
			if w.addInput {
				ins = append(ins, a)
			}
			return step.New(addOp(), p, ins...)
		})
		return []step.Ref{b, inVar("s", func() step.Ref { return slow(3, 0, 0) })}
	}
	base := world{version: "1", n: 2, file: in, seed: 7}
	for _, c := range []struct {
		name   string
		change func(*world)
		want   []string // lines that the plan holds
		ran    []string
	}{
		{"parameter", func(w *world) { w.n = 3 }, []string{"b  toy.Add   will run, because parameter N 2 → 3 ["}, []string{"add"}},
		{"nested parameter", func(w *world) { w.deep = "x" }, []string{`because parameter Deep.Name default → "x"`}, []string{"add"}},
		{"version", func(w *world) { w.version = "2" }, []string{"a  toy.Read  will run, because toy.Read changed from version 1 to 2", "because input a changed"}, []string{"read", "add"}},
		{"input's parameter", func(w *world) { w.skip = 1 }, []string{"because parameter Skip default → 1", "because input a changed"}, []string{"read", "add"}},
		{"file", func(w *world) { writeFile(t, in, "50\n") }, []string{"because file in.txt changed", "because input a changed"}, []string{"read", "add"}},
		{"moved file", func(w *world) {
			w.file = writeFile(t, filepath.Join(dir, "elsewhere.txt"), "40\n")
		}, []string{"nothing to run"}, nil},
		{"seed", func(w *world) { w.seed = 8 }, []string{"s  toy.Slow  will run, because the seed changed 7 → 8", "b  toy.Add   cached"}, nil},
		{"added input", func(w *world) { w.addInput = true }, []string{"because input a was added"}, []string{"add"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			writeFile(t, in, "40\n")
			root := t.TempDir()
			e := newExec(t, root, nil)
			runRefs(t, e, build(base)...)
			w := base
			c.change(&w)
			e = newExec(t, root, nil)
			e.o.Seed = w.seed
			runs = nil
			text, _ := runRefs(t, e, build(w)...)
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("plan lacks %q:\n%s", want, text)
				}
			}
			if !slices.Equal(runs, c.ran) {
				t.Errorf("ran %v, want %v", runs, c.ran)
			}
		})
	}
}

func TestDamagedArtifactIsRebuilt(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(dir string) error
		want  string
	}{
		{"altered", func(d string) error { return os.WriteFile(filepath.Join(d, "numbers.txt"), []byte("43\n"), 0o644) }, "numbers.txt: content changed"},
		{"cut", func(d string) error { return os.Truncate(filepath.Join(d, "numbers.txt"), 1) }, "numbers.txt: 1 bytes, written with 3"},
		{"deleted", func(d string) error { return os.Remove(filepath.Join(d, "numbers.txt")) }, "numbers.txt: missing"},
		{"torn manifest", func(d string) error { return os.Truncate(filepath.Join(d, "manifest.json"), 50) }, "its manifest is torn"},
		{"altered manifest", func(d string) error {
			raw, err := os.ReadFile(filepath.Join(d, "manifest.json"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(d, "manifest.json"), bytes.Replace(raw, []byte("avx2"), []byte("sse2"), 1), 0o644)
		}, "its manifest was altered"},
		{"no manifest", func(d string) error { return os.Remove(filepath.Join(d, "manifest.json")) }, "its manifest is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			in := writeFile(t, filepath.Join(dir, "in.txt"), "40\n")
			build := func() step.Ref {
				return inVar("b", func() step.Ref { return add(read(in, 0), 2) })
			}
			root := filepath.Join(dir, "store")
			_, dirs := runRefs(t, newExec(t, root, nil), build())
			if err := c.spoil(dirs[0]); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			e := newExec(t, root, &out)
			text, again := runRefs(t, e, build())
			if !strings.Contains(text, "because its artifact is damaged ("+c.want+")") {
				t.Errorf("plan:\n%s", text)
			}
			if !strings.Contains(out.String(), "warning: b: artifact") {
				t.Errorf("no warning: %s", &out)
			}
			if got := content(t, again[0], "numbers.txt"); got != "42\n" || again[0] != dirs[0] {
				t.Errorf("rebuilt as %q", got)
			}
		})
	}
}

func TestErrorsAreReportedTogether(t *testing.T) {
	e := newExec(t, t.TempDir(), nil)
	a := inVar("a", func() step.Ref { return read("/nowhere/in.txt", -1) })
	b := inVar("b", func() step.Ref { return step.Bad(addOp(), errors.New("n is missing")) })
	c := inVar("c", func() step.Ref {
		return step.New(&step.Op{Name: "toy.Panics", Check: func(step.Step) []error { panic("oh") }}, nil)
	})
	_, err := e.Plan(context.Background(), []step.Ref{a, b, c})
	want := "toy.go:3:5: a: toy.Read: skip must not be negative, got -1\n" +
		"toy.go:3:5: b: toy.Add: n is missing\n" +
		"toy.go:3:5: c: toy.Panics: internal error: oh"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	_, err = e.Plan(context.Background(), []step.Ref{inVar("a", func() step.Ref { return read("/nowhere/in.txt", 0) })})
	if err == nil || err.Error() != "toy.go:3:5: a: toy.Read: /nowhere/in.txt: no such file" {
		t.Errorf("missing file: %v", err)
	}
}

func TestPanicBecomesAnError(t *testing.T) {
	root := t.TempDir()
	e := newExec(t, root, nil)
	r := inVar("c", func() step.Ref {
		return step.New(&step.Op{Name: "toy.Panics", Run: func(*step.Context, string) error { panic("matmul: K 3, want 4") }}, nil)
	})
	p, err := e.Plan(context.Background(), []step.Ref{r})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Run(context.Background(), p)
	if err == nil || !strings.HasPrefix(err.Error(), "toy.go:3:5: c: toy.Panics: internal error: matmul: K 3, want 4 (details in ") {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(err.Error(), "goroutine") {
		t.Error("the stack is on the user's screen")
	}
	logs, _ := filepath.Glob(filepath.Join(root, "logs", "*"))
	if len(logs) != 1 || !strings.Contains(content(t, logs[0], ""), "goroutine") {
		t.Errorf("the stack is not in the log: %v", logs)
	}
	if left, _ := os.ReadDir(filepath.Join(root, "tmp")); len(left) != 0 {
		t.Errorf("a failed step left %v", left)
	}
}

// TestFileChangedUnderWay: the plan is a snapshot, so a file that changes
// between hashing and reading must not give an artifact under the old key.
func TestFileChangedUnderWay(t *testing.T) {
	dir := t.TempDir()
	in := writeFile(t, filepath.Join(dir, "in.txt"), "40\n")
	e := newExec(t, filepath.Join(dir, "store"), nil)
	p, err := e.Plan(context.Background(), []step.Ref{read(in, 0)})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, in, "41\n")
	if _, err := e.Run(context.Background(), p); err == nil || !strings.Contains(err.Error(), "in.txt changed while the step ran") {
		t.Errorf("got %v", err)
	}
	if _, err := e.o.Store.Get(p.Items[0].Key); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an artifact was kept: %v", err)
	}
}

// TestOnlyWhatIsNeeded: absent inputs of a cached step are not made again.
func TestOnlyWhatIsNeeded(t *testing.T) {
	dir := t.TempDir()
	in := writeFile(t, filepath.Join(dir, "in.txt"), "40\n")
	e := newExec(t, filepath.Join(dir, "store"), nil)
	a := read(in, 0)
	b := add(a, 2)
	runRefs(t, e, b)
	p, err := e.Plan(context.Background(), []step.Ref{b})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(e.o.Store.Dir(p.Item(a).Key)); err != nil {
		t.Fatal(err)
	}
	runs = nil
	text, _ := runRefs(t, e, b)
	if len(runs) != 0 || !strings.Contains(text, "absent, not needed") {
		t.Errorf("ran %v; plan:\n%s", runs, text)
	}
	runRefs(t, e, add(b, 1))
	if !slices.Equal(runs, []string{"read", "add"}) {
		t.Errorf("a running step must find everything behind it: ran %v", runs)
	}
}

func TestMemoryRefusal(t *testing.T) {
	if _, ok := availableMemory(); !ok {
		t.Skip("available memory is unknown here")
	}
	big := &step.Op{Name: "toy.Big",
		Cost: func(step.Step) step.Cost { return step.Cost{PeakBytes: 1 << 60} },
		Run:  func(*step.Context, string) error { return nil }}
	e := newExec(t, t.TempDir(), nil)
	p, err := e.Plan(context.Background(), []step.Ref{inVar("huge", func() step.Ref { return step.New(big, nil) })})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Run(context.Background(), p)
	if err == nil || !strings.Contains(err.Error(), "huge: toy.Big: it needs about") || !strings.Contains(err.Error(), "--ignore-memory") {
		t.Errorf("got %v", err)
	}
	e.o.IgnoreMemory = true
	if _, err := e.Run(context.Background(), p); err != nil {
		t.Errorf("with the override: %v", err)
	}
}

func TestEstimateFromMeasuredRuns(t *testing.T) {
	dir := t.TempDir()
	in := writeFile(t, filepath.Join(dir, "in.txt"), "40\n")
	e := newExec(t, filepath.Join(dir, "store"), nil)
	e.o.Measure = func() Rates { return Rates{FLOPs: 2e9, Bytes: 1e9} }
	a := read(in, 0)
	p, err := e.Plan(context.Background(), []step.Ref{add(a, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if it := p.Items[1]; it.Seconds != 1 || it.Measured { // 1e9 FLOPs at half of 2e9 a second
		t.Errorf("estimate %v s, measured %v", it.Seconds, it.Measured)
	}
	rep, err := e.Run(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	var foot bytes.Buffer
	if err := rep.Write(&foot); err != nil || !strings.Contains(foot.String(), "(1 s)") || !strings.Contains(foot.String(), "(1.05 MB)") {
		t.Errorf("footer lacks the estimates: %v\n%s", err, &foot)
	}
	p, err = e.Plan(context.Background(), []step.Ref{add(a, 2)})
	if err != nil {
		t.Fatal(err)
	}
	if it := p.Items[1]; !it.Measured || it.Seconds > 0.5 {
		t.Errorf("the second estimate does not rest on the first run: %v s, %v", it.Seconds, it.Measured)
	}
}

func TestOnceIsSharedAndDropped(t *testing.T) {
	loads := 0
	op := &step.Op{Name: "toy.Load", Run: func(c *step.Context, dir string) error {
		_, err := c.Once("model", func() (any, error) { loads++; return loads, nil })
		return err
	}}
	idle := &step.Op{Name: "toy.Idle", Run: func(*step.Context, string) error { return nil }}
	e := newExec(t, t.TempDir(), nil)
	refs := []step.Ref{step.New(op, addParams{N: 1}), step.New(op, addParams{N: 2})}
	runRefs(t, e, refs...)
	if loads != 1 {
		t.Errorf("loaded %d times", loads)
	}
	for i := range 3 {
		runRefs(t, e, step.New(idle, addParams{N: i + 1}))
	}
	if len(e.once.m) != 0 {
		t.Error("an unused model is kept")
	}
}

func TestCancelledRunResumes(t *testing.T) {
	var out bytes.Buffer
	root := t.TempDir()
	e := newExec(t, root, &out)
	r := inVar("sum", func() step.Ref { return slow(2000, time.Millisecond, 0) })
	p, err := e.Plan(context.Background(), []step.Ref{r})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Millisecond)
	defer cancel()
	_, err = e.Run(ctx, p)
	want := "interrupted; not finished: sum (sum has a checkpoint); resume with the same command: lightbox run toy"
	if !errors.Is(err, ErrInterrupted) || err.Error() != want {
		t.Fatalf("got %v", err)
	}
	text, dirs := runRefs(t, newExec(t, root, &out), inVar("sum", func() step.Ref { return slow(2000, 0, 0) }))
	if !strings.Contains(text, "because it was interrupted (resumes from its checkpoint)") {
		t.Errorf("plan:\n%s", text)
	}
	_, fresh := runRefs(t, newExec(t, t.TempDir(), nil), slow(2000, 0, 0))
	for _, name := range []string{"sum.txt", MetricsName} {
		if content(t, dirs[0], name) != content(t, fresh[0], name) {
			t.Errorf("%s differs after the resume", name)
		}
	}
	if n := strings.Count(content(t, dirs[0], MetricsName), "\n"); n != 2000 {
		t.Errorf("%d metrics, want 2000", n)
	}
	if !strings.Contains(out.String(), "after a resume") {
		t.Errorf("output: %s", &out)
	}
	if e.o.Store.HasScratch(p.Items[0].Key) {
		t.Error("the checkpoint is still there")
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Bytes(999), "999 B"}, {Bytes(1500), "1.5 kB"}, {Bytes(15_800_000_000), "15.8 GB"}, {Bytes(999_900), "1 MB"}, {Bytes(250e6), "250 MB"},
		{Duration(0.25), "250 ms"}, {Duration(12.4), "12 s"}, {Duration(200), "3m20s"}, {Duration(180), "3m00s"}, {Duration(18600), "5h10m"},
		{flops(2.5e12), "2.5 TFLOP"},
		{fmt.Sprint(step.Changes([]byte(`{"A":{"type":"x.Y","value":{"B":1}},"L":[1,2]}`), []byte(`{"A":{"type":"x.Z","value":{"B":1}},"L":[1,3]}`))),
			`[parameter A.type "x.Y" → "x.Z" parameter L[1] 2 → 3]`},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// TestTimings: what tells of the run itself stands beside the artifact, each value once after a resume, and lock files
// know nothing of it.
func TestTimings(t *testing.T) {
	fail := true
	op := &step.Op{Name: "toy.Timed", Version: "1", Run: func(ctx *step.Context, dir string) error {
		for i := range int64(3) {
			ctx.Metric("loss", i, float64(i))
			ctx.Timing("speed", i, time.Since(time.Unix(0, 0)).Seconds())
			if err := ctx.Sync(); err != nil {
				return err
			}
			if i == 1 && fail {
				return errors.New("broken off")
			}
		}
		return os.WriteFile(filepath.Join(dir, "x"), []byte("x"), 0o644)
	}}
	content := func(dir string) (sum, timings string) {
		e := newExec(t, dir, nil)
		ref := step.New(op, nil)
		p, err := e.Plan(context.Background(), []step.Ref{ref})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Run(context.Background(), p); fail {
			if err == nil {
				t.Fatal("no error")
			}
			return "", ""
		} else if err != nil {
			t.Fatal(err)
		}
		dirs, err := e.Dirs(p, []step.Ref{ref})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(dirs[0], TimingsName))
		if err != nil {
			t.Fatal(err)
		}
		m, err := e.Store().Verify(p.Item(ref).Key)
		if err != nil {
			t.Fatal(err)
		}
		return lock.Content(m.Files), string(raw)
	}
	root := t.TempDir()
	content(root)
	fail = false
	a, first := content(root)
	b, second := content(t.TempDir())
	if strings.Count(first, "\n") != 3 || strings.Count(first, `"speed"`) != 3 {
		t.Errorf("timings after a resume:\n%s", first)
	}
	if a != b || first == second {
		t.Errorf("two runs: contents %.8s and %.8s, timings equal: %v", a, b, first == second)
	}
}

// TestVolatile: what is made of a volatile step is volatile too.
func TestVolatile(t *testing.T) {
	speed := step.New(&step.Op{Name: "toy.Speed", Version: "1", Volatile: true}, nil)
	plain := step.New(&step.Op{Name: "toy.Plain", Version: "1"}, nil)
	on := &step.Op{Name: "toy.On", Version: "1"}
	if !speed.Volatile() || plain.Volatile() || !step.New(on, nil, plain, step.New(on, nil, speed)).Volatile() || step.New(on, nil, plain).Volatile() {
		t.Error("volatile is not what it should be")
	}
}

// TestLeftScratch: checkpoints that a kill left beside their artifact are removed by the next run.
func TestLeftScratch(t *testing.T) {
	root := t.TempDir()
	e := newExec(t, root, nil)
	refs := slow(3, 0, 10)
	runRefs(t, e, refs)
	p, err := e.Plan(context.Background(), []step.Ref{refs})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := e.Store().Scratch(p.Item(refs).Key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "checkpoint"), "x")
	if _, err := e.Run(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Join(root, "scratch")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
