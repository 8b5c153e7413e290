package model

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

// Names says how the tensors of a checkpoint are called in the module tree.
type Names struct {
	// Canonical turns any known spelling into the module tree's.
	Canonical func(stored string) string
	// Buffer reports canonical names of tensors that are no parameters and are
	// passed over (position ids, rotary frequencies).
	Buffer func(canonical string) bool
	// Tied maps the canonical name of a parameter that may be absent, or present
	// as a copy, to the one it shares its tensor with.
	Tied map[string]string
	// Spell is how a generation of transformers calls a canonical name in memory, where adapters' files have their names
	// from. Nil: all alike.
	Spell func(l Layout, canonical string) string
}

// Layout is a generation of transformers' module paths.
type Layout string

// The layouts. Families whose paths never changed have one for all.
const (
	Layout5   Layout = "5"    // transformers 5, the module tree's own
	Layout452 Layout = "4.52" // 4.52 to 4.57
	LayoutHub Layout = "hub"  // before 4.52, as in published checkpoints
)

// LoadWeights gives every parameter its tensor from the archive, on the context's
// device. F32, BF16 and F16 stay as they are stored, in the mapped file where the
// device allows, as do weights that bitsandbytes has quantised; F64, and vectors of
// any type, become f32. A parameter that is to be quantised (its Form, or WithForms)
// is so one at a time, and what was read of the file leaves memory again. Everything that does not fit is
// reported at once: missing, unused and mis-shaped tensors, each with its name
// in the file and, where one is likely meant, the near name.
func LoadWeights(ctx context.Context, a *safetensors.Archive, params []nn.Named, names Names) error {
	report := setForms(ctx, params)
	dev, done := ops.From(ctx), 0
	var stopped error
	err := matchWeights(a, params, names, func(stored string, p nn.Named) error {
		if p.Form != nil && stopped == nil { // quantising takes its time; the rest is mapped
			stopped = ctx.Err()
		}
		if stopped != nil {
			return nil
		}
		err := loadParam(dev, a, stored, p)
		if p.Form != nil && !p.Packed {
			done++
			report(done)
		}
		return err
	})
	if stopped != nil {
		return stopped
	}
	return err
}

// CheckWeights reports what LoadWeights would, without loading.
func CheckWeights(a *safetensors.Archive, params []nn.Named, names Names) error {
	return matchWeights(a, params, names, func(stored string, p nn.Named) error { return checkParam(a, stored, p) })
}

// matchWeights calls each with every parameter and its name in the archive, "" for a counter that is not there.
func matchWeights(a *safetensors.Archive, params []nn.Named, names Names, each func(string, nn.Named) error) error {
	stored := map[string]string{} // canonical -> in the file
	var unused []string
	var errs []error
	want := map[string]bool{}
	for _, p := range params {
		want[p.Name] = true
	}
	for _, s := range a.Names() {
		if companionOf(a, s) != "" {
			continue // read, or reported, with its weight
		}
		c := names.Canonical(s)
		_, tied := names.Tied[c]
		switch {
		case want[c]:
			if other, twice := stored[c]; twice {
				errs = append(errs, fmt.Errorf("tensors %q and %q both mean %s", other, s, c))
			}
			stored[c] = s
		case names.Buffer != nil && names.Buffer(c), tied:
		default:
			unused = append(unused, s)
		}
	}
	var missing []string
	for _, p := range params {
		s, ok := stored[p.Name]
		if !ok && !p.Counter {
			missing = append(missing, p.Name)
			continue
		}
		if err := each(s, p); err != nil {
			errs = append(errs, err)
		}
	}
	errs = append(errs, nameErrors(missing, unused, names)...)
	if len(errs) > 0 {
		return fmt.Errorf("%s: the weights do not fit the configuration:\n%w", a.Path(), errors.Join(errs...))
	}
	return nil
}

func checkParam(a *safetensors.Archive, stored string, p nn.Named) error {
	if p.Counter {
		_, err := count(a, stored)
		return err
	}
	if packed, err := packingOf(a, stored, p); packed != nil || err != nil {
		if err != nil {
			return err
		}
		return packed.agrees(stored, p)
	}
	info, _ := a.Info(stored)
	if !slices.Equal(info.Shape, p.Shape) {
		return fmt.Errorf("tensor %q has shape %v; want %v", stored, info.Shape, p.Shape)
	}
	switch info.DType {
	case safetensors.F32, safetensors.BF16, safetensors.F16, safetensors.F64:
		return nil
	}
	return fmt.Errorf("tensor %q holds %s; want F32, BF16, F16 or F64", stored, info.DType)
}

func loadParam(dev *tensor.Device, a *safetensors.Archive, stored string, p nn.Named) error {
	if err := checkParam(a, stored, p); err != nil {
		return err
	}
	if p.Counter {
		n, err := count(a, stored)
		p.Tensor = dev.FromFloats([]float32{n}, p.Shape...)
		return err
	}
	if packed, _ := packingOf(a, stored, p); packed != nil {
		p.Form, p.Packed = &packed.form, true
		p.Tensor = packed.load(dev, a, p)
		p.Tensor.SetName(p.Name)
		return nil
	}
	info, _ := a.Info(stored)
	if dt, mapped := held(info.DType, p.Wide); mapped {
		p.Tensor = dev.FromBytes(a.Bytes(stored), dt, p.Shape...)
	} else {
		f, err := a.Floats(stored)
		if err != nil {
			return err
		}
		p.Tensor = dev.FromFloats(f, p.Shape...)
	}
	p.Tensor.SetName(p.Name)
	if p.Form == nil {
		return nil
	}
	q, err := ops.Quantise(p.Tensor, *p.Form)
	p.Tensor, p.Packed = q, false
	a.Forget(stored)
	return err
}

// count is the number that a counter's tensor holds, 0 of none.
func count(a *safetensors.Archive, stored string) (float32, error) {
	if stored == "" {
		return 0, nil
	}
	info, _ := a.Info(stored)
	if raw := a.Bytes(stored); info.DType == safetensors.I64 && len(raw) == 8 {
		return float32(int64(binary.LittleEndian.Uint64(raw))), nil
	}
	return 0, fmt.Errorf("tensor %q is %s of shape %v; want one I64", stored, info.DType, info.Shape)
}

// held tells how a parameter that a file stores as d is held, and whether it stays in the mapped file.
func held(d safetensors.DType, wide bool) (dt tensor.DType, mapped bool) {
	switch {
	case d == safetensors.F32:
		return tensor.F32, true
	case d == safetensors.BF16 && !wide:
		return tensor.BF16, true
	case d == safetensors.F16 && !wide:
		return tensor.F16, true
	}
	return tensor.F32, false
}

// nameErrors reports missing and unused tensors, at most 12 of each by name.
func nameErrors(missing, unused []string, names Names) []error {
	const most = 12
	var errs []error
	spelt := make([]string, len(unused))
	for i, u := range unused {
		spelt[i] = names.Canonical(u)
	}
	for i, m := range missing {
		if i == most {
			errs = append(errs, fmt.Errorf("… and %d more tensors are missing", len(missing)-most))
			break
		}
		if near := Near(m, spelt, 1); len(near) > 0 {
			errs = append(errs, fmt.Errorf("tensor %q is missing; the file has the unused %q", m, unused[slices.Index(spelt, near[0])]))
		} else {
			errs = append(errs, fmt.Errorf("tensor %q is missing", m))
		}
	}
	for i, u := range unused {
		if i == most {
			errs = append(errs, fmt.Errorf("… and %d more tensors are unused", len(unused)-most))
			break
		}
		errs = append(errs, fmt.Errorf("tensor %q is used by nothing", u))
	}
	return errs
}

// CopyWeights gives every parameter of to the tensor of the parameter of the
// same name in from: shared as it is, with its form, or what convert makes of it.
func CopyWeights(to, from []nn.Named, convert func(*tensor.Tensor) *tensor.Tensor) {
	have := map[string]nn.Named{}
	for _, p := range from {
		have[p.Name] = p
	}
	for _, p := range to {
		src, ok := have[p.Name]
		if !ok {
			panic(fmt.Sprintf("model: no parameter %s to copy", p.Name))
		}
		t := src.Tensor
		if convert == nil {
			p.Form, p.Packed = src.Form, src.Packed
		} else if t != nil {
			t = convert(t)
			t.SetName(p.Name)
		}
		p.Tensor = t
	}
}

// Replace rewrites the first prefix of name that is listed, pairs of (from, to).
func Replace(name string, pairs ...string) string {
	for i := 0; i+1 < len(pairs); i += 2 {
		if rest, ok := strings.CutPrefix(name, pairs[i]); ok {
			return pairs[i+1] + rest
		}
	}
	return name
}
