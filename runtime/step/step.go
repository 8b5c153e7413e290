// Package step is the contract between recipes, verbs and the executor.
//
// A verb (train.LoRA, generate.Captions …) calls New and returns a handle on
// the Ref; evaluating a recipe therefore computes nothing, it only builds a
// directed graph of steps. The executor walks the graph, checks it, and runs
// what is missing.
//
// The package knows: what a step is, its plan key, the errors it carries, and
// the context in which it runs. It does not know: how artifacts are stored,
// where, in which order steps run, or what any operation means. It imports
// the standard library only and does no input or output of its own.
//
// # Keys
//
// The plan key is SHA-256 over the operation's name and version, the
// canonical parameters (Canonical) and the plan keys of the inputs. Names of
// variables, positions, paths of the recipe, threads and device are not in
// it. The artifact key, which the executor makes, adds the content of the
// external files that Op.Files names and, for Op.Seeded, the seed.
package step

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// Key is a SHA-256 that names a step (plan key) or an artifact.
type Key [32]byte

// String is the key as 64 hexadecimal digits.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// Short is the key's first 12 hexadecimal digits, for people.
func (k Key) Short() string { return hex.EncodeToString(k[:6]) }

// MarshalText writes the key as String does, so that JSON and YAML hold hex.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *Key) UnmarshalText(b []byte) error {
	raw, err := hex.DecodeString(string(b))
	if err != nil || len(raw) != len(k) {
		return fmt.Errorf("key %q is not 64 hexadecimal digits", b)
	}
	copy(k[:], raw)
	return nil
}

// Op is an operation: what a verb asks the executor to do. Make one per verb,
// as a package-level unexported variable; it is never modified.
type Op struct {
	// Name is package-qualified as in a recipe: "train.LoRA". It is unique.
	Name string
	// Version is raised whenever the same parameters and inputs would give
	// another artifact than before.
	Version string
	// Seeded: Run reads Context.Seed, which then joins the artifact key.
	Seeded bool
	// Volatile: the artifact tells of the run itself (speeds), so that it and
	// all that is made of it differ from run to run; lock files leave it out.
	Volatile bool
	// Check reports what is wrong with the step before anything runs. It may
	// read configurations and headers, nothing large. May be nil.
	Check func(Step) []error
	// Files names the external files (absolute paths) whose content the
	// artifact depends on. May be nil.
	Files func(Step) ([]string, error)
	// RestsOn says what kind of thing the artifact is where results rest on it
	// ("weights", "adapter", "dictionary", "captions"), and what people call it; a name of ""
	// is the recipe's variable, a kind of "" nothing worth naming. Tables name it
	// in their footers, with a hash. May be nil.
	RestsOn func(Step) (kind, name string)
	// Cost estimates the work. May be nil: negligible.
	Cost func(Step) Cost
	// Run writes the artifact's files into dir. It returns ctx.Err() when it
	// was cancelled; what it left under Context.Scratch is then kept.
	Run func(ctx *Context, dir string) error
	// Together lets steps of the operation run as one. May be nil.
	Together *Together
}

// Together is how several steps of one operation share work: several adapters
// in one pass over one base. Each keeps its key, its artifact and its scratch
// directory, and its artifact is the one that Op.Run would have written, bit
// by bit. Which steps run together is the executor's decision, so that it is in
// no key.
type Together struct {
	// Key is equal for steps that can run as one; "" is a step that runs alone.
	Key func(Step) string
	// Cost estimates the steps run as one.
	Cost func([]Step) Cost
	// Run is Op.Run of all the steps, none of which is an input of another.
	// Errors are parallel to ctxs: a step without one is finished, whatever
	// became of the others. It returns ctx.Err() of those that were cancelled.
	Run func(ctxs []*Context, dirs []string) []error
}

// Cost is an estimate of a step's work; zero fields mean negligible.
type Cost struct {
	FLOPs     float64 // floating-point operations (a multiply-add counts two)
	ReadBytes float64 // bytes read from disk, or streamed from memory where that is the limit
	PeakBytes int64   // memory held at the worst moment, weights included
	DiskBytes int64   // size of the artifact
	Note      string  // what the estimate rests on, e.g. "1860 steps of 4"
}

// Step is one node of the plan, as the operation's functions see it.
type Step struct {
	Op       *Op
	Params   any
	In       []Ref
	Var, Pos string // the recipe's variable and position that made it; not in any key
	Rehearse bool
	FuncHash string // normalised source behind func values in Params, "" when compiled
	Dir      string // the recipe's directory, for relative paths
}

// node is what a Ref points at; immutable after New.
type node struct {
	step      Step
	canonical []byte
	key       Key
	masked    Key
	id        Key
	volatile  bool
	errs      []error
}

// Ref is a reference to a step of the plan. Copies are equal references.
// The zero Ref refers to no step.
type Ref struct{ n *node }

// Referrer is implemented by every handle: Refs are the steps that must have
// run before the value can be viewed.
type Referrer interface{ Refs() []Ref }

// Error is something wrong with one step of the plan.
type Error struct {
	Var, Pos string // where the recipe made the step; empty outside a recipe
	Op       string
	Err      error
}

func (e *Error) Error() string {
	s := e.Err.Error()
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Var != "" {
		s = e.Var + ": " + s
	}
	if e.Pos != "" {
		s = e.Pos + ": " + s
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Remedy is an error that knows the command which mends it: what is missing and can be downloaded.
type Remedy interface{ Remedy() string }

// Remedies are the commands that the errors in err's tree know, in order.
func Remedies(err error) []string {
	var out []string
	if r, ok := err.(Remedy); ok {
		out = append(out, r.Remedy())
	}
	switch x := err.(type) {
	case interface{ Unwrap() error }:
		out = append(out, Remedies(x.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, e := range x.Unwrap() {
			out = append(out, Remedies(e)...)
		}
	}
	return out
}

// New makes a step. It never panics: whatever is wrong is carried by the Ref
// (Errors) and reported with the whole plan. params must not be modified
// afterwards.
func New(op *Op, params any, in ...Ref) Ref {
	return build(op, params, nil, in)
}

// Bad makes a Ref that carries only errors: for a verb whose arguments make
// no step possible. Two with different errors are different steps.
func Bad(op *Op, errs ...error) Ref {
	if len(errs) == 0 {
		errs = []error{errors.New("not a usable step")}
	}
	return build(op, nil, errs, nil)
}

func build(op *Op, params any, errs []error, in []Ref) Ref {
	sc := Current()
	n := &node{}
	fail := func(err error) {
		e := &Error{Var: sc.Var, Pos: sc.Pos, Err: err}
		if op != nil {
			e.Op = op.Name
		}
		n.errs = append(n.errs, e)
	}
	for _, err := range errs {
		fail(err)
	}
	if op == nil {
		fail(errors.New("step without an operation"))
		op = &Op{Name: "invalid"}
	}
	n.step = Step{Op: op, Params: params, In: append([]Ref(nil), in...),
		Var: sc.Var, Pos: sc.Pos, Rehearse: sc.Rehearse, FuncHash: sc.FuncHash, Dir: sc.Dir}
	canonical, err := canonicalParams(params, sc.FuncHash, false)
	if err != nil {
		fail(err)
	}
	n.canonical = canonical
	masked, _ := canonicalParams(params, "", false)
	whole, _ := canonicalParams(params, sc.FuncHash, true)
	n.volatile = op.Volatile
	for i, r := range in {
		n.volatile = n.volatile || r.Volatile()
		if !r.Valid() {
			fail(fmt.Errorf("input %d is no step (an empty handle was passed)", i+1))
		}
	}
	for _, err := range errs {
		for _, c := range []*[]byte{&canonical, &masked, &whole} {
			*c = append(slices.Clone(*c), err.Error()...)
		}
	}
	n.key = planKey(n.step, canonical, Ref.Key)
	n.masked = planKey(n.step, masked, Ref.MaskedKey)
	n.id = planKey(n.step, whole, Ref.ID)
	return Ref{n}
}

// planKey hashes length-prefixed parts, so that no two steps share a text.
func planKey(s Step, canonical []byte, of func(Ref) Key) Key {
	h := sha256.New()
	part := func(b []byte) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	part([]byte("lightbox plan 1"))
	part([]byte(s.Op.Name))
	part([]byte(s.Op.Version))
	part(canonical)
	if s.Rehearse {
		part([]byte("rehearse"))
	} else {
		part(nil)
	}
	for _, r := range s.In {
		k := of(r)
		part(k[:])
	}
	var k Key
	h.Sum(k[:0])
	return k
}

// Valid reports whether r refers to a step.
func (r Ref) Valid() bool { return r.n != nil }

// Step returns the node. Of the zero Ref it is the zero Step.
func (r Ref) Step() Step {
	if r.n == nil {
		return Step{}
	}
	s := r.n.step
	s.In = append([]Ref(nil), s.In...)
	return s
}

// Key is the plan key; zero for the zero Ref.
func (r Ref) Key() Key {
	if r.n == nil {
		return Key{}
	}
	return r.n.key
}

// MaskedKey is the plan key with every function hash left blank: what a
// compiled recipe gives, for comparing it with the interpreted one.
func (r Ref) MaskedKey() Key {
	if r.n == nil {
		return Key{}
	}
	return r.n.masked
}

// ID is like Key but also over the fields tagged `key:"local"`: within one run it
// tells apart two steps that differ only in where their files lie.
func (r Ref) ID() Key {
	if r.n == nil {
		return Key{}
	}
	return r.n.id
}

// Volatile tells whether the artifact differs from run to run: the operation
// or one of those behind it says so.
func (r Ref) Volatile() bool { return r.n != nil && r.n.volatile }

// Params is the canonical form of the parameters that the key holds.
func (r Ref) Params() []byte {
	if r.n == nil {
		return nil
	}
	return append([]byte(nil), r.n.canonical...)
}

// Errors are the errors of this step, not of its inputs. Each is an *Error.
func (r Ref) Errors() []error {
	if r.n == nil {
		return nil
	}
	return append([]error(nil), r.n.errs...)
}

// Same reports whether both refer to the same node of the plan.
func (r Ref) Same(o Ref) bool { return r.n == o.n }

// Walk calls f once for every distinct step (by ID) behind refs, inputs before
// the steps that need them, in a fixed order. Zero Refs are passed over.
func Walk(refs []Ref, f func(Ref)) {
	seen := map[Key]bool{}
	var visit func(Ref)
	visit = func(r Ref) {
		if !r.Valid() || seen[r.ID()] {
			return
		}
		seen[r.ID()] = true
		for _, in := range r.n.step.In {
			visit(in)
		}
		f(r)
	}
	for _, r := range refs {
		visit(r)
	}
}
