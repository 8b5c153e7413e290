package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

// Weights that a checkpoint holds quantised, as bitsandbytes' modules save themselves.
//
// A 4-bit "q_proj.weight" is bytes of two codes, with "q_proj.weight.absmax" (scales, or their codes), ".quant_map",
// ".nested_absmax" and ".nested_quant_map" (double quantisation), and ".quant_state.bitsandbytes__nf4", JSON in bytes.
// An int8 "q_proj.weight" has "q_proj.SCB", a scale per row, and perhaps "q_proj.weight_format".

// quantState is what a 4-bit weight's JSON says.
type quantState struct {
	Type         string  `json:"quant_type"`
	Block        int     `json:"blocksize"`
	Shape        []int   `json:"shape"`
	NestedBlock  int     `json:"nested_blocksize"`
	NestedOffset float32 `json:"nested_offset"`
}

// stateSuffix begins the name of a 4-bit weight's JSON.
const stateSuffix = ".quant_state.bitsandbytes__"

// companions are the ends of the names of what stands beside a 4-bit weight.
var companions = []string{".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", stateSuffix + "nf4", stateSuffix + "fp4"}

// companionOf is the weight that a tensor belongs to, "" of one that is a tensor of its own.
func companionOf(a *safetensors.Archive, stored string) string {
	for _, c := range companions {
		if w, ok := strings.CutSuffix(stored, c); ok {
			if _, ok := a.Info(w); ok {
				return w
			}
		}
	}
	for _, c := range []string{".SCB", ".weight_format"} {
		if layer, ok := strings.CutSuffix(stored, c); ok {
			if info, ok := a.Info(layer + ".weight"); ok && info.DType == "I8" {
				return layer + ".weight"
			}
		}
	}
	return ""
}

// A packing is a weight as a checkpoint holds it: its form, and the tensors in the order of ops.EmptyQuantised.
type packing struct {
	form   ops.Form
	parts  []string
	offset float32
}

// packingOf tells how an archive holds a parameter quantised, nil where it does not. Errors name the tensor at fault.
func packingOf(a *safetensors.Archive, stored string, p nn.Named) (*packing, error) {
	info, _ := a.Info(stored)
	code := ""
	for _, c := range []string{"nf4", "fp4"} {
		if _, ok := a.Info(stored + stateSuffix + c); ok {
			code = c
		}
	}
	switch {
	case code != "":
		return packing4(a, stored, code, p)
	case info.DType == "I8":
		return packing8(a, stored, p)
	case info.DType == safetensors.U8:
		return nil, fmt.Errorf("tensor %q holds bytes, and there is no %q beside it to say what of", stored, stored+stateSuffix+"nf4")
	}
	return nil, nil
}

// packing4 reads how a 4-bit weight is held.
func packing4(a *safetensors.Archive, stored, code string, p nn.Named) (*packing, error) {
	name := stored + stateSuffix + code
	var s quantState
	if err := json.Unmarshal(a.Bytes(name), &s); err != nil {
		return nil, fmt.Errorf("tensor %q holds no JSON: %w", name, err)
	}
	want := p.Shape
	if p.Transposed {
		want = []int{p.Shape[1], p.Shape[0]}
	}
	switch {
	case s.Type != code:
		return nil, fmt.Errorf("tensor %q: quant_type %q; want %q", name, s.Type, code)
	case !slices.Equal(s.Shape, want):
		return nil, fmt.Errorf("tensor %q: shape %v; want %v", name, s.Shape, want)
	case s.Block < 2 || s.Block%2 != 0:
		return nil, fmt.Errorf("tensor %q: blocksize %d; want an even number", name, s.Block)
	}
	n := int(p.Numel())
	blocks := (n + s.Block - 1) / s.Block
	f := packing{form: ops.Form{Code: ops.NF4, Block: s.Block, Transposed: p.Transposed}, parts: []string{stored, stored + ".quant_map", stored + ".absmax"}}
	if code == "fp4" {
		f.form.Code = ops.FP4
	}
	scales, size := safetensors.F32, 4
	_, f.form.Double = a.Info(stored + ".nested_absmax")
	if f.form.Double {
		if s.NestedBlock < 1 {
			return nil, fmt.Errorf("tensor %q: nested_blocksize %d; want at least 1", name, s.NestedBlock)
		}
		scales, size = safetensors.U8, 1
		f.form.Nested, f.offset = s.NestedBlock, s.NestedOffset
		f.parts = append(f.parts, stored+".nested_quant_map", stored+".nested_absmax")
	}
	var errs []error
	expect := func(name string, dt safetensors.DType, bytes int) {
		if info, ok := a.Info(name); !ok {
			errs = append(errs, fmt.Errorf("tensor %q is missing", name))
		} else if dt != "" && info.DType != dt || len(a.Bytes(name)) != bytes {
			errs = append(errs, fmt.Errorf("tensor %q holds %d bytes of %s; want %d of %s for %d codes in blocks of %d", name, len(a.Bytes(name)), info.DType, bytes, dt, n, s.Block))
		}
	}
	expect(stored, "", (n+1)/2) // of whatever type bnb_4bit_quant_storage made them
	expect(stored+".quant_map", safetensors.F32, 4*16)
	expect(stored+".absmax", scales, size*blocks)
	if f.form.Double {
		expect(stored+".nested_quant_map", safetensors.F32, 4*256)
		expect(stored+".nested_absmax", safetensors.F32, 4*((blocks+s.NestedBlock-1)/s.NestedBlock))
	}
	return &f, errors.Join(errs...)
}

// packing8 reads how an int8 weight is held.
func packing8(a *safetensors.Archive, stored string, p nn.Named) (*packing, error) {
	want := p.Shape
	if p.Transposed {
		want = []int{p.Shape[1], p.Shape[0]}
	}
	layer := strings.TrimSuffix(stored, "weight")
	info, _ := a.Info(stored)
	scb, ok := a.Info(layer + "SCB")
	switch format := a.Bytes(layer + "weight_format"); {
	case !slices.Equal(info.Shape, want):
		return nil, fmt.Errorf("tensor %q has shape %v; want %v", stored, info.Shape, want)
	case !ok:
		return nil, fmt.Errorf("tensor %q is missing, the scales of %q", layer+"SCB", stored)
	case scb.DType != safetensors.F32 || scb.Numel() != int64(want[0]):
		return nil, fmt.Errorf("tensor %q is %s of shape %v; want F32 of [%d]", layer+"SCB", scb.DType, scb.Shape, want[0])
	case len(format) == 1 && format[0] != 0:
		return nil, fmt.Errorf("tensor %q is %d; want 0, rows: the layouts of old GPUs are not read", layer+"weight_format", format[0])
	}
	return &packing{form: ops.Form{Code: ops.Int8, Transposed: p.Transposed}, parts: []string{stored, layer + "SCB"}}, nil
}

// load is the parameter's tensor, in the mapped file where the device allows.
func (f *packing) load(dev *tensor.Device, a *safetensors.Archive, p nn.Named) *tensor.Tensor {
	next := 0
	t := ops.EmptyQuantised(f.form, p.Shape[0], p.Shape[1], func(dt tensor.DType, dims ...int) *tensor.Tensor {
		next++
		return dev.FromBytes(a.Bytes(f.parts[next-1]), dt, dims...)
	})
	if n := t.Quant().Nested; n != nil {
		n.Offset = f.offset
	}
	return t
}

// agrees reports a form asked for that the checkpoint does not hold.
func (f *packing) agrees(stored string, p nn.Named) error {
	if p.Form == nil || p.Packed || p.Form.Code == f.form.Code && p.Form.Double == f.form.Double {
		return nil
	}
	return fmt.Errorf("tensor %q is stored as %s; it cannot be quantised again, as %s", stored, Quantisation{Form: f.form}, Quantisation{Form: *p.Form})
}
