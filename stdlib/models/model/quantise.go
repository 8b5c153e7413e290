package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/stdlib/nn"
)

// Quantisation says how the weights of a model's Linears are held: all of them quantised, in every tower, but the output
// head and what Keep names. That is what transformers' BitsAndBytesConfig does by default; embeddings, norms, convolutions
// and biases stay as they are stored there too.
type Quantisation struct {
	Form ops.Form
	Keep []string // towers (language, vision, connector), and modules: whole parts of their paths, or the end of one, as transformers takes llm_int8_skip_modules
}

// String is "nf4", "nf4 with double quantisation" or "int8", and what is kept.
func (q Quantisation) String() string {
	s := q.Form.Code.String()
	if q.Form.Double {
		s += " with double quantisation"
	}
	if len(q.Keep) > 0 {
		s += " but " + strings.Join(q.Keep, ", ")
	}
	return s
}

// Apply sets the Form of the weights that q quantises. The model may be built from its configuration alone; one with
// weights keeps those. The error names what Keep has that no Linear is under, and the near name.
func (q Quantisation) Apply(m Model) error {
	used := map[string]bool{}
	head := ""
	for _, s := range m.Slots() {
		w := s.Linear.Weight
		switch kept := q.keeps(m, s, used); {
		case s.Head:
			head = s.Path + "."
		case kept, len(w.Shape) != 2, head != "" && strings.HasPrefix(s.Path, head):
		default:
			f := q.Form
			f.Transposed = w.Transposed
			w.Form = &f
		}
	}
	return q.unmatched(m, used)
}

// keeps tells whether a slot is to stay as it is, and notes which names say so.
func (q Quantisation) keeps(m Model, s Slot, used map[string]bool) bool {
	kept := false
	for _, k := range q.Keep {
		c := strings.TrimSuffix(m.Canonical(k+"."), ".")
		if k == string(s.Tower) || under(s.Path, k) || under(s.Path, c) {
			kept, used[k] = true, true
		}
	}
	return kept
}

// under tells whether a module is in one called name, of which name may be the path or a part of it, or ends in name.
func under(module, name string) bool {
	return name != "" && (strings.Contains("."+module+".", "."+name+".") || strings.HasSuffix(module, name))
}

// unmatched is the error about names of Keep that met no Linear.
func (q Quantisation) unmatched(m Model, used map[string]bool) error {
	var errs []error
	for _, k := range q.Keep {
		if used[k] {
			continue
		}
		msg := fmt.Sprintf("nothing is called %q that could be kept unquantised; want a tower (language, vision, connector) or the name of a module with Linears", k)
		if near := Near(k, keepable(m), 1); len(near) > 0 {
			msg += fmt.Sprintf("; did you mean %q?", near[0])
		}
		errs = append(errs, errors.New(msg))
	}
	return errors.Join(errs...)
}

// keepable lists what Keep can name: towers, and the last parts of modules' paths.
func keepable(m Model) []string {
	out := []string{string(Language), string(Vision), string(Connector)}
	for _, p := range m.Modules() {
		if last := path.Ext("." + p)[1:]; !slices.Contains(out, last) {
			out = append(out, last)
		}
	}
	return out
}

// Quantised tells whether weights of m are quantised.
func Quantised(m Model) bool {
	return slices.ContainsFunc(m.Params(), func(p Param) bool { return p.Form != nil })
}

// Forms are those of m's parameters by name.
func Forms(m Model) map[string]ops.Form {
	out := map[string]ops.Form{}
	for _, p := range m.Params() {
		if p.Form != nil {
			out[p.Name] = *p.Form
		}
	}
	return out
}

type formsKey struct{}

// wanted is what WithForms asks of LoadWeights.
type wanted struct {
	forms  map[string]ops.Form
	report func(done, total int64, note string)
}

// WithForms is a context in which LoadWeights quantises the parameters of these names and reports how far it has come.
func WithForms(ctx context.Context, forms map[string]ops.Form, report func(done, total int64, note string)) context.Context {
	return context.WithValue(ctx, formsKey{}, wanted{forms, report})
}

// setForms gives the parameters the forms that the context has for them, and tells to whom to report what is done.
func setForms(ctx context.Context, params []nn.Named) (report func(done int)) {
	w, _ := ctx.Value(formsKey{}).(wanted)
	total := 0
	for _, p := range params {
		if f, ok := w.forms[p.Name]; ok {
			p.Form = &f
			total++
		}
	}
	if w.report == nil {
		return func(int) {}
	}
	return func(done int) { w.report(int64(done), int64(total), "weights quantised") }
}

// StoredQuantisation reads how a config.json says that its checkpoint is quantised, nil where it is not. Of the methods
// that transformers knows, bitsandbytes is read.
func StoredQuantisation(config []byte) (*Quantisation, error) {
	var c struct {
		Quantisation *struct {
			Method    string   `json:"quant_method"`
			Four      bool     `json:"load_in_4bit"`
			Eight     bool     `json:"load_in_8bit"`
			FourOld   bool     `json:"_load_in_4bit"`
			EightOld  bool     `json:"_load_in_8bit"`
			Type      string   `json:"bnb_4bit_quant_type"`
			Double    bool     `json:"bnb_4bit_use_double_quant"`
			KeepBytes bool     `json:"llm_int8_has_fp16_weight"`
			Skip      []string `json:"llm_int8_skip_modules"`
		} `json:"quantization_config"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, err
	}
	j := c.Quantisation
	if j == nil {
		return nil, nil
	}
	bad := func(format string, a ...any) (*Quantisation, error) {
		return nil, fmt.Errorf("quantization_config: "+format, a...)
	}
	four, eight := j.Four || j.FourOld, j.Eight || j.EightOld
	switch {
	case j.Method != "bitsandbytes" && (j.Method != "" || !four && !eight):
		return bad("quant_method %q is not read; known: bitsandbytes", j.Method)
	case four == eight:
		return bad("load_in_4bit %t and load_in_8bit %t; want one of them", four, eight)
	case eight && j.KeepBytes:
		return bad("llm_int8_has_fp16_weight keeps 16-bit weights, which are not read as int8")
	}
	q := &Quantisation{Form: ops.Form{Code: ops.Int8}}
	if four {
		q.Form = ops.Form{Code: ops.FP4, Double: j.Double}
		switch j.Type {
		case "nf4":
			q.Form.Code = ops.NF4
		case "fp4", "":
		default:
			return bad("bnb_4bit_quant_type %q; known: nf4, fp4", j.Type)
		}
	}
	for _, s := range j.Skip {
		if s != "lm_head" { // kept anyway
			q.Keep = append(q.Keep, s)
		}
	}
	return q, nil
}

// ApplyStored is Apply for a checkpoint that is quantised already: the weights stay in the mapped file, and names that no
// Linear bears are passed over, as transformers does.
func (q Quantisation) ApplyStored(m Model) {
	used := map[string]bool{}
	known := q
	known.Keep = nil
	for _, k := range q.Keep {
		if slices.ContainsFunc(m.Slots(), func(s Slot) bool { return Quantisation{Keep: []string{k}}.keeps(m, s, used) }) {
			known.Keep = append(known.Keep, k)
		}
	}
	_ = known.Apply(m) // every name is known now
	for _, p := range m.Params() {
		p.Packed = p.Form != nil
	}
}
