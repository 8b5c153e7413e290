// Package inspect is the noun "what happens inside a model": the prompt as it was rendered, its tokens, the pixels, logits,
// the probability of every token, gradients, and how many tokens a set takes, from a recipe or the REPL.
//
// It knows how to run one pass and write down what it saw; its files (JSON and safetensors) are how a checkpoint is
// compared with another implementation. It knows no model family and trains nothing.
package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/data"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/text"
)

// Options say what to look at. Zero fields mean the default beside each.
type Options struct {
	Prompt    string   // what each image is asked; "Describe the image."
	Positions []int    // token positions whose logits are kept; negative from the end; none: those that predict the caption
	Top       int      // alternatives shown per token; 3
	Gradients []string // parameters whose gradient of the mean loss is kept: full names, or endings such as "q_proj.weight"
	Examples  int      // at most this many of the set; 4
}

// A Pass is a handle on forward passes; it shows tokens with their probabilities.
type Pass struct {
	refs   []step.Ref
	labels []string
}

// Refs is what must exist before the passes can be viewed.
func (p Pass) Refs() []step.Ref { return slices.Clone(p.refs) }

// Forward runs every system on the first examples of a set, captions included, and keeps what it saw: forward.json (the
// prompt as rendered, tokens, probabilities, losses) and forward.safetensors (pixels (images, 3, H, W) and logits
// (positions, V) of each example, gradients in the parameters' shapes, the mean over the examples of the gradient of
// their mean loss). The logits at position i are those for token i+1. Adapters' parameters have PEFT's names.
func Forward(systems model.Systems, set data.Set, o Options) Pass {
	if systems.Len() == 0 {
		return Pass{refs: []step.Ref{step.Bad(forwardOp, errors.New("no system to look into: the list is empty"))}, labels: []string{""}}
	}
	var p Pass
	for _, s := range systems.All() {
		p.refs = append(p.refs, step.New(forwardOp, o, append(s.Refs(), set.Ref())...))
		p.labels = append(p.labels, s.Name())
	}
	return p
}

const (
	forwardJSON    = "forward.json"
	forwardTensors = "forward.safetensors"
)

// seen is one example's record in forward.json.
type seen struct {
	ID     string  `json:"id"`
	Image  string  `json:"image,omitempty"`
	Prompt string  `json:"prompt"` // as rendered, answer included
	Loss   float64 `json:"loss"`   // mean over the caption's tokens; 0 where there is no caption
	Tokens []token `json:"tokens"`
}

type token struct {
	Position     int           `json:"position"`
	ID           int32         `json:"id"`
	Piece        string        `json:"piece"`
	Learnt       bool          `json:"learnt,omitempty"`      // carries loss
	Probability  float64       `json:"probability,omitempty"` // given what stands before; where logits were computed
	NLL          float64       `json:"nll,omitempty"`
	Alternatives []alternative `json:"alternatives,omitempty"`
}

type alternative struct {
	Piece       string  `json:"piece"`
	Probability float64 `json:"probability"`
}

var forwardOp = &step.Op{Name: "inspect.Forward", Version: "1",
	Check: func(s step.Step) []error {
		o := s.Params.(Options)
		var errs []error
		if o.Top < 0 || o.Examples < 0 {
			errs = append(errs, fmt.Errorf("inspect.Options: Top is %d and Examples is %d: want 0 or more", o.Top, o.Examples))
		}
		return errs
	},
	Run: func(ctx *step.Context, dir string) error {
		st := ctx.Step()
		o := st.Params.(Options)
		if o.Prompt == "" {
			o.Prompt = "Describe the image."
		}
		if o.Top == 0 {
			o.Top = 3
		}
		if o.Examples == 0 {
			o.Examples = 4
		}
		last := len(st.In) - 1
		r, err := data.Open(ctx.Input(last))
		if err != nil {
			return err
		}
		w := &work{o: o}
		if w.m, err = open(ctx, st.In[0], st.In[1:last], len(o.Gradients) > 0); err != nil {
			return err
		}
		if err := w.choose(o.Gradients); err != nil {
			return err
		}
		n := min(o.Examples, r.Len())
		for i := range n {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := w.example(r, i); err != nil {
				return fmt.Errorf("example %s: %w", r.Example(i).ID, err)
			}
			ctx.Progress(int64(i+1), int64(n), "examples")
		}
		return w.save(ctx, dir, n)
	}}

// open loads a system, its base in float32 tensors of its own where gradients are wanted.
func open(ctx *step.Context, base step.Ref, adapters []step.Ref, gradients bool) (model.Model, error) {
	if !gradients {
		return lora.Open(ctx, model.System{Base: base, Adapters: adapters})
	}
	m, err := lora.Open(ctx, model.System{Base: base})
	if err != nil {
		return nil, err
	}
	m = m.Trainable() // leaves adapters behind
	for _, ref := range adapters {
		if err := lora.Attach(ctx, m, ctx.Dir(ref)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

type work struct {
	m       model.Model
	o       Options
	chosen  []named
	seen    []seen
	tensors []safetensors.Tensor
}

type named struct {
	name string
	t    *tensor.Tensor
}

// parameters are those of the base by their names in the module tree, and those of adapters by PEFT's.
func parameters(m model.Model) []named {
	var out []named
	for _, p := range m.Params() {
		out = append(out, named{p.Name, p.T()})
	}
	for _, s := range m.Slots() {
		for i, a := range s.Linear.Adapters {
			prefix := "base_model.model." + s.Path
			if i > 0 { // as PEFT names a further adapter
				prefix = fmt.Sprintf("%s.adapter_%d", prefix, i)
			}
			out = append(out, named{prefix + ".lora_A.weight", a.A.T()}, named{prefix + ".lora_B.weight", a.B.T()})
			if a.Magnitude != nil {
				a.Gain = nil // computed in each pass, so that a gradient reaches the magnitude
				out = append(out, named{prefix + ".lora_magnitude_vector", a.Magnitude.T()})
			}
		}
	}
	return out
}

// choose finds the parameters whose gradients are wanted, by full name or by an ending at a dot.
func (w *work) choose(names []string) error {
	all := parameters(w.m)
	var known []string
	for _, p := range all {
		known = append(known, p.name)
	}
	var errs []error
	for _, want := range names {
		found := false
		for _, p := range all {
			if p.name != want && !strings.HasSuffix(p.name, "."+want) {
				continue
			}
			found = true
			if !slices.Contains(w.chosen, p) {
				p.t.SetRequiresGrad(true)
				w.chosen = append(w.chosen, p)
			}
		}
		if !found {
			err := fmt.Errorf("no parameter named %q", want)
			if near, ok := text.Nearest(want, known); ok {
				err = fmt.Errorf("%w; did you mean %q?", err, near)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (w *work) example(r *data.Reader, i int) error {
	ex := r.Example(i)
	im, err := r.Image(i)
	if err != nil {
		return err
	}
	s, err := w.m.Encode(model.Input{Image: im, Prompt: ex.Ask(w.o.Prompt), Target: ex.Caption})
	if err != nil {
		return err
	}
	stored, err := w.positions(s)
	if err != nil {
		return err
	}
	wanted := union(stored, captionPositions(s))
	tape := tensor.NewScratch()
	h := w.m.Hidden(&model.Batch{Samples: []*model.Sample{s}, Tape: tape}) // (T, C)
	logits := ops.Floats(w.m.Logits(ops.TakeRows(h, wanted)))              // (wanted, V)
	tape.Release()
	w.record(ex, s, wanted, logits)
	vocab := len(logits) / len(wanted)
	kept := make([]float32, 0, len(stored)*vocab)
	for _, p := range stored {
		k, _ := slices.BinarySearch(wanted, p)
		kept = append(kept, logits[k*vocab:(k+1)*vocab]...)
	}
	name := w.nameOf(ex.ID)
	w.tensors = append(w.tensors, safetensors.Float32(name+".logits", safetensors.F32, []int{len(stored), vocab}, kept))
	if len(s.Pixels) > 0 {
		shape := []int{len(s.Pixels)}
		if one := 3 * s.Size[0] * s.Size[1]; one > 0 {
			shape = []int{len(s.Pixels) / one, 3, s.Size[0], s.Size[1]}
		}
		w.tensors = append(w.tensors, safetensors.Float32(name+".pixels", safetensors.F32, shape, s.Pixels))
	}
	return w.backward(s)
}

// nameOf is the example's name among the tensors: its ID, numbered where another split has the same.
func (w *work) nameOf(id string) string {
	n := 0
	for _, s := range w.seen {
		if s.ID == id {
			n++
		}
	}
	if n > 1 {
		return fmt.Sprintf("%s#%d", id, n)
	}
	return id
}

// union is the positions of both, ascending, each once.
func union(a, b []int32) []int32 {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// captionPositions are those that predict the caption's tokens.
func captionPositions(s *model.Sample) []int32 {
	var out []int32
	for i := range len(s.IDs) - 1 {
		if s.Labels[i+1] != model.Ignore {
			out = append(out, int32(i))
		}
	}
	return out
}

// backward adds the example's gradient of its mean loss.
func (w *work) backward(s *model.Sample) error {
	if len(w.chosen) == 0 {
		return nil
	}
	n := s.LossTokens()
	if n == 0 {
		return errors.New("it has no caption, so there is no loss to differentiate")
	}
	tape := tensor.NewTape()
	loss, _ := model.Loss(w.m, &model.Batch{Samples: []*model.Sample{s}, Tape: tape}, 1/float32(n))
	if loss.NeedsGrad() {
		tape.Backward(loss)
	}
	tape.Release()
	return nil
}

// positions are those asked for, or the ones that predict the caption, or the last.
func (w *work) positions(s *model.Sample) ([]int32, error) {
	var out []int32
	for _, p := range w.o.Positions {
		at := p
		if at < 0 {
			at += len(s.IDs)
		}
		if at < 0 || at >= len(s.IDs) {
			return nil, fmt.Errorf("position %d of a prompt of %d tokens", p, len(s.IDs))
		}
		out = append(out, int32(at))
	}
	if len(out) == 0 {
		out = captionPositions(s)
	}
	if len(out) == 0 {
		out = []int32{int32(len(s.IDs) - 1)}
	}
	return out, nil
}

// record writes down the tokens, and for those whose logits are known their probability and the best alternatives.
func (w *work) record(ex data.Example, s *model.Sample, positions []int32, logits []float32) {
	vocab := len(logits) / len(positions)
	rec := seen{ID: ex.ID, Image: ex.Image, Prompt: s.Text}
	for i, id := range s.IDs {
		rec.Tokens = append(rec.Tokens, token{Position: i, ID: id, Piece: w.m.Piece(id), Learnt: s.Labels[i] != model.Ignore})
	}
	learnt := 0
	for k, p := range positions {
		probs := softmax(logits[k*vocab : (k+1)*vocab])
		next := int(p) + 1
		if next >= len(s.IDs) {
			rec.Tokens = append(rec.Tokens, token{Position: next, ID: -1, Alternatives: w.top(probs)})
			continue
		}
		t := &rec.Tokens[next]
		t.Probability = probs[t.ID]
		t.NLL = -math.Log(max(probs[t.ID], math.SmallestNonzeroFloat64))
		t.Alternatives = w.top(probs)
		if t.Learnt {
			rec.Loss += t.NLL
			learnt++
		}
	}
	if learnt > 0 {
		rec.Loss /= float64(learnt)
	}
	w.seen = append(w.seen, rec)
}

func (w *work) top(probs []float64) []alternative {
	ids := make([]int, len(probs))
	for i := range ids {
		ids[i] = i
	}
	sort.SliceStable(ids, func(a, b int) bool { return probs[ids[a]] > probs[ids[b]] })
	var out []alternative
	for _, id := range ids[:min(w.o.Top, len(ids))] {
		out = append(out, alternative{w.m.Piece(int32(id)), probs[id]})
	}
	return out
}

func softmax(x []float32) []float64 {
	top, sum := float64(slices.Max(x)), 0.0
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = math.Exp(float64(v) - top)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// save writes both files. A chosen parameter that takes no part in the loss has no gradient, as in PyTorch.
func (w *work) save(ctx *step.Context, dir string, n int) error {
	var unused []string
	for _, p := range w.chosen {
		g := p.t.Grad()
		if g == nil {
			unused = append(unused, p.name)
			continue
		}
		values := ops.Floats(g)
		for i := range values {
			values[i] /= float32(n)
		}
		w.tensors = append(w.tensors, safetensors.Float32("grad."+p.name, safetensors.F32, p.t.Shape(), values))
	}
	if len(unused) > 0 {
		msg := "without gradient, since they take no part in the loss: " + strings.Join(unused, ", ")
		if len(unused) == len(w.chosen) {
			return errors.New(msg)
		}
		ctx.Logf("%s", msg)
	}
	if err := safetensors.Write(filepath.Join(dir, forwardTensors), w.tensors, nil); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(w.seen, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, forwardJSON), append(raw, '\n'), 0o644)
}

// View shows a table per system and example: each token of the caption, how likely it was, and what else was.
func (p Pass) View(dirs []string) (view.View, error) {
	var out view.List
	for i, dir := range dirs {
		raw, err := os.ReadFile(filepath.Join(dir, forwardJSON))
		if err != nil {
			return nil, err
		}
		var all []seen
		if err := json.Unmarshal(raw, &all); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, forwardJSON), err)
		}
		for _, s := range all {
			out = append(out, s.table(p.labels[i], dir))
		}
	}
	return out, nil
}

func (s seen) table(system, dir string) view.Table {
	t := view.Table{
		Title:  system + ", " + s.ID,
		Header: [][]view.Cell{{{Text: "position"}, {Text: "token"}, {Text: "probability"}, {Text: "nll"}, {Text: "likeliest"}}},
		Align:  []view.Align{view.Right, view.Left, view.Right, view.Right, view.Left},
		Footer: []string{"prompt: " + s.Prompt, fmt.Sprintf("mean loss %.4f", s.Loss), "tensors: " + filepath.Join(dir, forwardTensors)},
	}
	for _, k := range s.Tokens {
		if len(k.Alternatives) == 0 {
			continue
		}
		var alts []string
		for _, a := range k.Alternatives {
			alts = append(alts, fmt.Sprintf("%s %.3f", a.Piece, a.Probability))
		}
		row := []view.Cell{{Text: fmt.Sprint(k.Position)}, {Text: k.Piece}, {}, {}, {Text: strings.Join(alts, "  ")}}
		if k.ID >= 0 {
			row[2].Text, row[3].Text = fmt.Sprintf("%.4f", k.Probability), fmt.Sprintf("%.3f", k.NLL)
		}
		t.Rows = append(t.Rows, view.Row{Cells: row})
	}
	return t
}
