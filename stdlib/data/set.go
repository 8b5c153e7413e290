package data

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"

	"encoding/json"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/text"
	"lightbox/stdlib/vision"
)

// A Set is an immutable handle on examples. Its methods give new sets; nothing is read until a run needs it.
type Set struct{ ref step.Ref }

// Ref is the step whose artifact Open reads.
func (s Set) Ref() step.Ref { return s.ref }

// Refs is what must exist before the set can be viewed.
func (s Set) Refs() []step.Ref { return []step.Ref{s.ref} }

func derive(s Set, op *step.Op, params any, more ...step.Ref) Set {
	return Set{step.New(op, params, append([]step.Ref{s.ref}, more...)...)}
}

// derived is the Run of an op that maps the examples of its first input to others.
func derived[P any](f func(ctx *step.Context, p P, meta *Meta, in []Example) ([]Example, error)) func(*step.Context, string) error {
	return func(ctx *step.Context, dir string) error {
		r, err := Open(ctx.Input(0))
		if err != nil {
			return err
		}
		meta := r.Meta
		out, err := f(ctx, ctx.Step().Params.(P), &meta, slices.Clone(r.examples))
		if err != nil {
			return err
		}
		return write(dir, meta, out)
	}
}

type splitParams struct{ Name string }

var splitOp = &step.Op{Name: "data.split", Version: "1",
	Check: func(s step.Step) []error {
		name := s.Params.(splitParams).Name
		if known := []string{"train", "valid", "test"}; !slices.Contains(known, name) {
			msg := fmt.Sprintf("no split %q: splits are train, valid and test", name)
			if near, ok := text.Nearest(name, known); ok {
				msg += fmt.Sprintf("; did you mean %q?", near)
			}
			return []error{fmt.Errorf("%s", msg)}
		}
		return nil
	},
	Run: derived(func(_ *step.Context, p splitParams, meta *Meta, in []Example) ([]Example, error) {
		out := slices.DeleteFunc(in, func(ex Example) bool { return ex.Split != p.Name })
		if len(out) == 0 {
			return nil, fmt.Errorf("split %q of %s is empty", p.Name, meta.Source)
		}
		return out, nil
	})}

// Split keeps the examples of one split: "train", "valid" or "test". An empty one is an error of the run.
func (s Set) Split(name string) Set { return derive(s, splitOp, splitParams{name}) }

type whereParams struct{ Expr string }

func compileWhere(source string) (*vm.Program, error) {
	p, err := expr.Compile(source, expr.Env(Example{}), expr.AsBool(), expr.DisableBuiltin("now"))
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", source, err)
	}
	return p, nil
}

var whereOp = &step.Op{Name: "data.where", Version: "1",
	Check: func(s step.Step) []error {
		if _, err := compileWhere(s.Params.(whereParams).Expr); err != nil {
			return []error{err}
		}
		return nil
	},
	Run: derived(func(ctx *step.Context, p whereParams, meta *Meta, in []Example) ([]Example, error) {
		program, err := compileWhere(p.Expr)
		if err != nil {
			return nil, err
		}
		var out []Example
		for _, ex := range in {
			keep, err := expr.Run(program, ex)
			if err != nil {
				return nil, fmt.Errorf("filter %q: example %s: %w", p.Expr, ex.ID, err)
			}
			if keep.(bool) {
				out = append(out, ex)
			}
		}
		if len(out) == 0 && ctx.Rehearse && len(in) > 0 {
			ctx.Logf("filter %q leaves none of the drawn examples; the rehearsal goes on with the first one", p.Expr)
			return in[:1], nil
		}
		if len(out) == 0 {
			return nil, fmt.Errorf("filter %q leaves none of the %d examples of %s", p.Expr, len(in), meta.Source)
		}
		return out, nil
	})}

// Where keeps the examples for which an expr expression holds, such as "modality == 'CT' && len(caption) < 200".
// The fields are id, split, image, caption, prompt, modality, hint, cuis, attrs and fields.
func (s Set) Where(expression string) Set { return derive(s, whereOp, whereParams{expression}) }

var joinOp = &step.Op{Name: "data.join", Version: "1",
	Run: func(ctx *step.Context, dir string) error {
		var all []Example
		var meta Meta
		var sources []string
		seen := map[string]string{}
		for i := range ctx.Step().In {
			r, err := Open(ctx.Input(i))
			if err != nil {
				return err
			}
			if i > 0 && !reflect.DeepEqual(r.Meta.Standard, meta.Standard) {
				return fmt.Errorf("%s and %s are standardised differently: standardise the joined set instead", sources[0], r.Meta.Source)
			}
			meta.Standard = r.Meta.Standard
			meta.Warnings = append(meta.Warnings, r.Meta.Warnings...)
			meta.Skipped = append(meta.Skipped, r.Meta.Skipped...)
			sources = append(sources, r.Meta.Source)
			for _, ex := range r.examples {
				key := ex.Split + "/" + ex.ID
				if first, again := seen[key]; again {
					return fmt.Errorf("example %s of split %s is in %s and in %s", ex.ID, ex.Split, first, r.Meta.Source)
				}
				seen[key] = r.Meta.Source
				all = append(all, ex)
			}
		}
		meta.Source = strings.Join(sources, " + ")
		return write(dir, meta, all)
	}}

// Join is all examples of several sets, in order. An ID that two of them have in one split is an error of the run.
func Join(sets ...Set) Set {
	if len(sets) == 0 {
		return Set{step.Bad(joinOp, errors.New("no set to join"))}
	}
	refs := make([]step.Ref, len(sets))
	for i, s := range sets {
		refs[i] = s.ref
	}
	return Set{step.New(joinOp, nil, refs...)}
}

type sampleParams struct {
	N      int
	Seed   uint64
	Random bool
}

var sampleOp = &step.Op{Name: "data.sample", Version: "1",
	Check: func(s step.Step) []error {
		if n := s.Params.(sampleParams).N; n < 1 {
			return []error{fmt.Errorf("cannot take %d examples: want at least 1", n)}
		}
		return nil
	},
	Run: derived(func(_ *step.Context, p sampleParams, _ *Meta, in []Example) ([]Example, error) {
		if p.N >= len(in) {
			return in, nil
		}
		if !p.Random {
			return in[:p.N], nil
		}
		at := rand.New(rand.NewPCG(p.Seed, 0x5eed)).Perm(len(in))[:p.N]
		sort.Ints(at)
		out := make([]Example, p.N)
		for i, j := range at {
			out[i] = in[j]
		}
		return out, nil
	})}

// Take keeps the first n examples, or all where there are fewer.
func (s Set) Take(n int) Set { return derive(s, sampleOp, sampleParams{N: n}) }

// Sample keeps n examples chosen at random from the seed, in their order.
func (s Set) Sample(n int, seed uint64) Set {
	return derive(s, sampleOp, sampleParams{N: n, Seed: seed, Random: true})
}

type shuffleParams struct{ Seed uint64 }

var shuffleOp = &step.Op{Name: "data.shuffle_images", Version: "1",
	Run: derived(func(_ *step.Context, p shuffleParams, meta *Meta, in []Example) ([]Example, error) {
		if len(in) < 2 {
			return nil, fmt.Errorf("cannot shuffle the images of %d example", len(in))
		}
		images := make([]string, len(in))
		for i, j := range derangement(len(in), p.Seed) {
			images[i] = in[j].Image
		}
		for i := range in {
			in[i].Image = images[i]
		}
		meta.ShuffleSeed = &p.Seed
		return in, nil
	})}

// derangement is a random cyclic order: no index keeps its place.
func derangement(n int, seed uint64) []int {
	order := rand.New(rand.NewPCG(seed, 0xd15c)).Perm(n)
	to := make([]int, n)
	for k, i := range order {
		to[i] = order[(k+1)%n]
	}
	return to
}

// ShuffleImages gives every example the image of another one: the control that shows how much a model looks at the image.
func (s Set) ShuffleImages(seed uint64) Set { return derive(s, shuffleOp, shuffleParams{seed}) }

// Standard is the preparation of the paper's Figure 1.
type Standard struct {
	LongestSide   int  // images whose longer side exceeds this are shrunk to it, keeping their shape; 0 leaves them
	Square        bool // and padded to a square with black
	NormalizeText bool // captions: Unicode NFC, control characters dropped, white space collapsed
}

func (s *Standard) apply(im *vision.Image) *vision.Image {
	return im.Standardize(s.LongestSide, s.Square)
}

var standardOp = &step.Op{Name: "data.standardize", Version: "1",
	Check: func(s step.Step) []error {
		if n := s.Params.(Standard).LongestSide; n < 0 {
			return []error{fmt.Errorf("LongestSide is %d: want pixels, or 0 to leave images as they are", n)}
		}
		return nil
	},
	Run: derived(func(_ *step.Context, p Standard, meta *Meta, in []Example) ([]Example, error) {
		meta.Standard = &p
		if p.NormalizeText {
			for i := range in {
				in[i].Caption = text.Normalize(in[i].Caption)
			}
		}
		return in, nil
	})}

// Standardize prepares images (to RGB, resized) and captions as in the paper's Figure 1.
func (s Set) Standardize(how Standard) Set { return derive(s, standardOp, how) }

// A ModalitySource says which modality to name in an example's prompt: modality.True, modality.Wrong, modality.Probe or a modality.Classifier.
type ModalitySource interface {
	// ModalityRef is a step whose artifact holds modality.jsonl: {"id": …, "modality": …} a line, for each example of the set.
	ModalityRef(of Set) step.Ref
	// ModalityName is said in tables: "true label", "probe".
	ModalityName() string
}

type hintParams struct{ From string }

// HintFile is the file of a ModalitySource's artifact.
const HintFile = "modality.jsonl"

var hintOp = &step.Op{Name: "data.with_modality", Version: "1",
	Run: derived(func(ctx *step.Context, p hintParams, meta *Meta, in []Example) ([]Example, error) {
		name := filepath.Join(ctx.Input(1), HintFile)
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		hints := map[string]string{}
		dec := json.NewDecoder(f)
		for dec.More() {
			var row struct{ ID, Modality string }
			if err := dec.Decode(&row); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			hints[row.ID] = row.Modality
		}
		for i := range in {
			hint, ok := hints[in[i].ID]
			if !ok || hint == "" {
				return nil, fmt.Errorf("%s: no modality for example %s", name, in[i].ID)
			}
			in[i].Hint = hint
		}
		meta.HintsFrom = p.From
		return in, nil
	})}

// WithModality lets prompts name each image's modality, as the source says it.
func (s Set) WithModality(from ModalitySource) Set {
	return derive(s, hintOp, hintParams{from.ModalityName()}, from.ModalityRef(s))
}

// View shows the set: counts by split and modality, its warnings, and its first captions.
func (s Set) View(dirs []string) (view.View, error) {
	r, err := Open(dirs[0])
	if err != nil {
		return nil, err
	}
	counts, modalities := map[string]map[string]int{}, map[string]bool{}
	var splits []string
	for _, ex := range r.examples {
		m := ex.Modality
		if m == "" {
			m = "not known"
		}
		if counts[ex.Split] == nil {
			counts[ex.Split] = map[string]int{}
			splits = append(splits, ex.Split)
		}
		counts[ex.Split][m]++
		modalities[m] = true
	}
	names := make([]string, 0, len(modalities))
	for m := range modalities {
		names = append(names, m)
	}
	sort.Strings(names)
	head := []view.Cell{{Text: "Split"}, {Text: "Examples"}}
	for _, m := range names {
		head = append(head, view.Cell{Text: m})
	}
	t := view.Table{Title: r.Meta.Source, Header: [][]view.Cell{head}, Align: make([]view.Align, len(head))}
	for i := 1; i < len(head); i++ {
		t.Align[i] = view.Right
	}
	for _, split := range splits {
		total := 0
		row := view.Row{Cells: []view.Cell{{Text: split}, {}}}
		for _, m := range names {
			total += counts[split][m]
			row.Cells = append(row.Cells, view.Cell{Text: strconv.Itoa(counts[split][m])})
		}
		row.Cells[1].Text = strconv.Itoa(total)
		t.Rows = append(t.Rows, row)
	}
	t.Footer = append(t.Footer, r.Meta.Warnings...)
	if n := len(r.Meta.Skipped); n > 0 {
		t.Footer = append(t.Footer, fmt.Sprintf("%d rows left out under SkipBadRows; the first: %s", n, r.Meta.Skipped[0]))
	}
	for _, ex := range r.examples[:min(3, len(r.examples))] {
		t.Footer = append(t.Footer, ex.ID+": "+strings.TrimSpace(ex.Caption))
	}
	return t, nil
}
