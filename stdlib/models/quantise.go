package models

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/runtime/step"
	"lightbox/stdlib/models/model"
)

// Format is a number format for the weights of a model's Linears, as bitsandbytes has it. A weight is dequantised to
// float32 where a product reads it, a few rows at a time, and computed with in float32; bitsandbytes rounds it to the
// checkpoint's own type (bfloat16, say) in between.
type Format string

// The formats, with the bytes that a weight takes.
const (
	// NF4 is QLoRA's NormalFloat4 with double quantisation (Dettmers et al., 2023): 0.516 bytes.
	NF4 Format = "nf4"
	// NF4Single is NF4 with its scales in float32, a scale per 64 weights: 0.5625 bytes.
	NF4Single Format = "nf4-single"
	// FP4 is the 4-bit float that bitsandbytes takes by default, with double quantisation: 0.516 bytes.
	FP4 Format = "fp4"
	// FP4Single is FP4 with its scales in float32: 0.5625 bytes.
	FP4Single Format = "fp4-single"
	// Int8 is a byte per weight and a scale per row, as Linear8bitLt stores them: 1 byte. Weights alone are quantised:
	// activations stay float32, so that there are no outliers among them to hold apart (LLM.int8's threshold).
	Int8 Format = "int8"
)

// formats are what the names stand for.
var formats = map[Format]ops.Form{
	NF4: {Code: ops.NF4, Double: true}, NF4Single: {Code: ops.NF4}, FP4: {Code: ops.FP4, Double: true}, FP4Single: {Code: ops.FP4}, Int8: {Code: ops.Int8},
}

// quantisation is what a format and the names to keep mean.
func quantisation(f Format, keep []string) (model.Quantisation, error) {
	form, ok := formats[f]
	if !ok {
		var known []string
		for n := range formats {
			known = append(known, string(n))
		}
		slices.Sort(known)
		msg := fmt.Sprintf("format %q; known: %s", string(f), strings.Join(known, ", "))
		if near := model.Near(string(f), known, 1); len(near) > 0 {
			msg += fmt.Sprintf("; did you mean %q?", near[0])
		}
		return model.Quantisation{}, errors.New(msg)
	}
	return model.Quantisation{Form: form, Keep: keep}, nil
}

// quantizePrefix begins the text of a Quantize.
const quantizePrefix = "quantize "

// Quantize is the option of Load that holds the weights quantised: see Quantized.
func Quantize(f Format, keep ...string) Option {
	return Option(quantizePrefix + strings.Join(append([]string{string(f)}, keep...), " "))
}

type quantParams struct {
	Format   Format
	Keep     []string
	Skeleton func() (model.Model, error) `key:"local"`
}

func quantRests(s step.Step) (kind, name string) {
	return "quantised", string(s.Params.(quantParams).Format)
}

// quantOp stands for a base whose weights are quantised when it is opened. Its artifact says which.
var quantOp = &step.Op{Name: "models.Quantize", Version: "1", RestsOn: quantRests, Run: func(ctx *step.Context, dir string) error {
	p := ctx.Step().Params.(quantParams)
	record := struct {
		Format     Format   `json:"format"`
		Keep       []string `json:"keep,omitempty"`
		Weights    int      `json:"weights"`
		Parameters int64    `json:"parameters"` // of those weights
	}{Format: p.Format, Keep: p.Keep}
	if p.Skeleton != nil {
		m, err := p.Skeleton()
		if err != nil {
			return err
		}
		for _, q := range m.Params() {
			if q.Form != nil {
				record.Weights++
				record.Parameters += q.Numel()
			}
		}
	}
	raw, err := jsonIndent(record)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "quantisation.json"), raw, 0o644)
}}

// Quantized is the systems with the weights of their bases' Linears held in a format: what QLoRA trains adapters on, and
// what generates in a quarter of the memory. Every Linear is quantised but the output head, and those of keep: towers
// ("language", "vision", "connector"), or modules ("multi_modal_projector", "layers.0", "down_proj") by whole parts of their
// paths or the ends of these, as transformers' llm_int8_skip_modules takes them. That is transformers' default, vision tower and connector included. Codes and scales
// are bitsandbytes'.
//
// Quantising happens when a step opens the base, once per run: no file is written. Parameters count as what they are, not
// as packed bytes. The base cannot be trained in full; adapters can be trained on it and used with it.
func Quantized(systems model.Systems, f Format, keep ...string) model.Systems {
	return systems.Map(func(s model.System) model.System {
		q, err := quantisation(f, keep)
		if err != nil {
			s.Base = step.Bad(quantOp, err)
			return s
		}
		if plain := s.Skeleton; plain != nil {
			s.Skeleton = func() (model.Model, error) {
				m, err := plain()
				if err != nil {
					return nil, err
				}
				return m, quantise(m, q)
			}
			// a base that is an error already says so itself
			if _, err := s.Skeleton(); err != nil && len(s.Base.Errors()) == 0 {
				s.Base = step.Bad(quantOp, fmt.Errorf("system %s: models.Quantize: %w", s.Name(), err))
				return s
			}
		}
		s.Base = step.New(quantOp, quantParams{f, keep, s.Skeleton}, s.Base)
		return s
	})
}

// quantise sets the forms of m's parameters, unless its checkpoint has some already.
func quantise(m model.Model, q model.Quantisation) error {
	if model.Quantised(m) {
		return errors.New("the checkpoint is quantised already")
	}
	return q.Apply(m)
}

// unquantised is the base that a quantised one is made of, and how; nil of any other base, which it is itself.
func unquantised(base step.Ref) (step.Ref, *quantParams) {
	st := base.Step()
	if p, ok := st.Params.(quantParams); ok && st.Op == quantOp && len(st.In) == 1 {
		return st.In[0], &p
	}
	return base, nil
}

// stored gives m, built from a config.json, the forms that this says its checkpoint has.
func stored(m model.Model, config []byte) (model.Model, error) {
	q, err := model.StoredQuantisation(config)
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	if q != nil {
		q.ApplyStored(m)
	}
	return m, nil
}
