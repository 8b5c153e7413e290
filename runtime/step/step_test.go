package step

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"
)

type shape interface{ shape() }
type circle struct{ R float64 }
type square struct{ R float64 }

func (circle) shape() {}
func (square) shape() {}

type labels struct{ k []string }

func (l labels) MarshalJSON() ([]byte, error) {
	return []byte(`[ "` + strings.Join(l.k, `", "`) + `" ]`), nil
}

type params struct {
	Rank    int
	LR      float64
	Half    float32
	Name    string
	Targets []string
	Extra   map[string]any
	Dir     string `key:"local"`
	Kind    shape
	Wait    time.Duration
	F       func(string) string
	Opt     *int
	L       *labels
	hidden  int
	Raw     []byte
}

func TestCanonical(t *testing.T) {
	zero := 0
	for _, c := range []struct {
		in   any
		want string
	}{
		{nil, `{}`},
		{params{}, `{}`},
		{params{Targets: []string{}, Dir: "/data"}, `{}`},
		{params{Rank: 8, LR: 3e-3, Half: 0.1}, `{"Half":0.1,"LR":0.003,"Rank":8}`},
		{params{LR: 1e-7, Name: "<a & \"b\">"}, `{"LR":1e-07,"Name":"<a & \"b\">"}`},
		{params{LR: math.Inf(1)}, `{"LR":"+Inf"}`},
		{params{Extra: map[string]any{"b": 0, "a": "x", "c": []any{1.5, nil}}}, `{"Extra":{"a":"x","b":0,"c":[1.5,null]}}`},
		{params{Kind: circle{2}}, `{"Kind":{"type":"step.circle","value":{"R":2}}}`},
		{params{Kind: square{2}}, `{"Kind":{"type":"step.square","value":{"R":2}}}`},
		{params{Wait: time.Second}, `{"Wait":1000000000}`},
		{params{Opt: &zero}, `{"Opt":0}`},
		{params{L: &labels{[]string{"a", "b"}}}, `{"L":["a","b"]}`},
		{params{hidden: 3}, `{"hidden":3}`},
		{params{F: strings.ToUpper}, `{"F":"func "}`},
		{params{Raw: []byte("x")}, `{"Raw":"sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}`},
		{&params{Rank: 1}, `{"Rank":1}`},
	} {
		got, err := Canonical(c.in)
		if err != nil || string(got) != c.want {
			t.Errorf("Canonical(%+v) = %s, %v; want %s", c.in, got, err, c.want)
		}
	}
}

func TestCanonicalErrors(t *testing.T) {
	type loop struct{ Next *loop }
	l := &loop{}
	l.Next = l
	for _, c := range []struct {
		in   any
		want string
	}{
		{struct{ C chan int }{make(chan int)}, "parameters.C: a chan int cannot be a parameter"},
		{params{LR: math.NaN()}, "parameters.LR: not a number"},
		{struct{ In []Ref }{[]Ref{{}}}, "parameters.In[0]: a step among the parameters; steps are passed as inputs"},
		{l, "nested too deep"},
		{map[float64]int{1: 1}, "a map with keys of type float64 cannot be a parameter"},
	} {
		if _, err := Canonical(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Canonical(%T) error = %v; want %q", c.in, err, c.want)
		}
		if r := New(&Op{Name: "x"}, c.in); len(r.Errors()) != 1 || !r.Valid() {
			t.Errorf("New carries %v", r.Errors())
		}
	}
}

func TestKeys(t *testing.T) {
	op := &Op{Name: "data.Set", Version: "1"}
	a := New(op, params{Rank: 1, Dir: "/a"})
	same := New(&Op{Name: "data.Set", Version: "1"}, params{Rank: 1, Dir: "/a"})
	moved := New(op, params{Rank: 1, Dir: "/b"})
	if a.Key() != same.Key() || a.ID() != same.ID() {
		t.Error("equal steps differ")
	}
	if a.Key() != moved.Key() || a.ID() == moved.ID() {
		t.Error(`a key:"local" field belongs to the ID and not to the key`)
	}
	leave := Enter(Scope{Var: "v", Pos: "r.go:1:1", Dir: "/elsewhere"})
	named := New(op, params{Rank: 1, Dir: "/a"})
	leave()
	leave()
	if named.Key() != a.Key() {
		t.Error("the variable's name or position is in the key")
	}
	seen := map[Key]string{a.Key(): "a"}
	for name, r := range map[string]Ref{
		"op":      New(&Op{Name: "data.Sets", Version: "1"}, params{Rank: 1}),
		"version": New(&Op{Name: "data.Set", Version: "2"}, params{Rank: 1}),
		"params":  New(op, params{Rank: 2}),
		"input":   New(op, params{Rank: 1}, a),
		"inputs":  New(op, params{Rank: 1}, a, a),
	} {
		if prev, dup := seen[r.Key()]; dup {
			t.Errorf("%s and %s share a key", name, prev)
		}
		seen[r.Key()] = name
	}
	leave = Enter(Scope{Rehearse: true})
	if r := New(op, params{Rank: 1}); seen[r.Key()] != "" {
		t.Error("a rehearsal shares a key with a real run")
	}
	leave()
	n := 0
	Walk([]Ref{a, New(op, nil, a, same, moved), {}}, func(Ref) { n++ })
	if n != 3 {
		t.Errorf("Walk visited %d steps, want 3", n)
	}
}

func TestFuncHash(t *testing.T) {
	op := &Op{Name: "frame.Map"}
	with := func(hash string) Ref {
		defer Enter(Scope{Var: "v", FuncHash: hash})()
		return New(op, params{F: strings.ToLower})
	}
	plain := New(op, params{F: strings.ToLower})
	a, b := with("aa"), with("bb")
	if a.Key() == b.Key() {
		t.Error("two functions share a key")
	}
	if a.MaskedKey() != b.MaskedKey() || a.MaskedKey() != plain.Key() || plain.Key() != plain.MaskedKey() {
		t.Error("masked keys differ")
	}
	if x, y := New(op, nil, a), New(op, nil, b); x.MaskedKey() != y.MaskedKey() || x.Key() == y.Key() {
		t.Error("masking does not reach through inputs")
	}
}

func TestErrorsAreCarried(t *testing.T) {
	leave := Enter(Scope{Var: "adapted", Pos: "r.go:7:5"})
	r := New(&Op{Name: "train.LoRA"}, nil, Ref{})
	bad := Bad(&Op{Name: "train.LoRA"}, errors.New("rank must be positive, got -1"))
	nilOp := New(nil, nil)
	leave()
	for _, c := range []struct {
		r    Ref
		want string
	}{
		{r, "r.go:7:5: adapted: train.LoRA: input 1 is no step (an empty handle was passed)"},
		{bad, "r.go:7:5: adapted: train.LoRA: rank must be positive, got -1"},
		{nilOp, "r.go:7:5: adapted: step without an operation"},
	} {
		if e := c.r.Errors(); len(e) != 1 || e[0].Error() != c.want {
			t.Errorf("errors %v; want %q", e, c.want)
		}
	}
	if len((Ref{}).Errors()) != 0 || (Ref{}).Valid() || (Ref{}).Key() != (Key{}) {
		t.Error("the zero Ref is not empty")
	}
}

func TestKeyText(t *testing.T) {
	k := New(&Op{Name: "x"}, nil).Key()
	b, _ := k.MarshalText()
	var back Key
	if err := back.UnmarshalText(b); err != nil || back != k {
		t.Errorf("round trip %v: %v", back, err)
	}
	if err := back.UnmarshalText([]byte("12")); err == nil {
		t.Error("a short key was accepted")
	}
}

func TestScopeConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for _, v := range []string{"a", "b", "c", "d"} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 100 {
				leave := Enter(Scope{Var: v})
				if got := New(&Op{Name: "x"}, nil).Step().Var; got != v {
					t.Errorf("scope %q seen in %q", got, v)
				}
				leave()
			}
		}()
	}
	wg.Wait()
}

func TestContextDefaults(t *testing.T) {
	in := New(&Op{Name: "in"}, nil)
	r := New(&Op{Name: "out"}, nil, in)
	c := NewContext(context.Background(), Env{Step: r.Step(), Dirs: map[Key]string{in.ID(): "/x"}})
	if c.Input(0) != "/x" || c.Dir(in) != "/x" {
		t.Error("input directory lost")
	}
	n := 0
	f := func() (any, error) { n++; return n, nil }
	_, _ = c.Once("m", f)
	if v, _ := c.Once("m", f); v != 1 {
		t.Errorf("Once ran %d times", n)
	}
	if _, err := c.Scratch(); err == nil {
		t.Error("scratch without an executor")
	}
	defer func() {
		if recover() == nil {
			t.Error("a missing input must panic")
		}
	}()
	c.Dir(r)
}

func TestFileRef(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	ref := FileRef(sum, "/data/train/x.jpg")
	if ref != "sha256:"+sum+"/x.jpg" || !IsFileRef(ref) || IsFileRef("/data/x.jpg") || IsFileRef("sha256:12/x") {
		t.Errorf("reference %q", ref)
	}
	if _, err := Place(ref); err == nil || !strings.Contains(err.Error(), "file x.jpg (SHA-256 abababababab…) is not among the files") {
		t.Errorf("unknown file: %v", err)
	}
	Locate(sum, "/data/train/x.jpg")
	Locate(sum, "/moved/x.jpg")
	if p, err := Place(ref); err != nil || p != "/moved/x.jpg" {
		t.Errorf("got %q, %v", p, err)
	}
	if _, err := Place("phantom:1"); err == nil {
		t.Error("no file was placed")
	}
}

type remedy struct{ error }

func (remedy) Remedy() string { return "mend it" }

func TestBadStepsDiffer(t *testing.T) {
	op := &Op{Name: "test.bad", Version: "1"}
	a, b, again := Bad(op, errors.New("no a")), Bad(op, errors.New("no b")), Bad(op, errors.New("no a"))
	n := 0
	Walk([]Ref{a, b, again}, func(Ref) { n++ })
	if n != 2 {
		t.Errorf("%d steps in error; want 2", n)
	}
}

func TestRemedies(t *testing.T) {
	err := fmt.Errorf("system: %w", errors.Join(errors.New("x"), &Error{Err: fmt.Errorf("y: %w", remedy{errors.New("z")})}))
	if got := Remedies(err); len(got) != 1 || got[0] != "mend it" {
		t.Errorf("%q", got)
	}
	if got := Remedies(errors.New("x")); len(got) != 0 {
		t.Errorf("%q", got)
	}
}
