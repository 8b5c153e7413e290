package lora

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

// Attach reads a PEFT directory and adds its adapters to the model's slots, for
// inference; modules saved with it, and biases, replace the model's own. It
// accepts every spelling of the module paths that transformers has used, and
// fails on a tensor that it cannot place, where PEFT only warns.
func Attach(ctx context.Context, m model.Model, dir string) error {
	a, err := Read(ctx, m, dir)
	if err != nil {
		return err
	}
	a.attach(m)
	return nil
}

// attach adds what Read gave to the model.
func (a *Adapter) attach(m model.Model) {
	slots := m.Slots()
	for i, t := range a.Targets {
		l, at := a.layers[i], slots[t.slot].Linear
		if l.Magnitude != nil {
			l.Gain = ops.DoRAScale(l.A.T(), l.Magnitude.T(), at.Weight.T(), at.Transposed, l.Low())
		}
		at.Adapters = append(at.Adapters, l)
	}
	for i, w := range a.Whole {
		q, _ := m.Own(w.Path)
		q.Tensor = a.whole[i].Tensor
	}
}

// Read reads a PEFT directory for the model without attaching it.
func Read(ctx context.Context, m model.Model, dir string) (*Adapter, error) {
	config, weights := files(dir)
	wrong := func(err error) error { return fmt.Errorf("lora: adapter %s: %w", dir, err) }
	c, err := readConfig(config)
	if err != nil {
		return nil, wrong(err)
	}
	f, err := safetensors.Open(weights)
	if err != nil {
		return nil, wrong(err)
	}
	defer f.Close()
	r := newReader(m, c, f)
	if err := r.place(); err != nil {
		return nil, wrong(r.foreign(err))
	}
	a, err := r.adapter(ops.From(ctx))
	if err != nil {
		return nil, wrong(r.foreign(err))
	}
	return a, nil
}

// A reader finds the place of every tensor of an adapter's file.
type reader struct {
	m      model.Model
	c      *peftConfig
	f      *safetensors.Archive
	parts  map[string][3]string // layer -> names of A, B, magnitude in the file
	spelt  map[string]string    // layer -> as the file spells it
	whole  map[string]string    // parameter -> name in the file
	slots  map[string]model.Slot
	places map[string]model.Param
	paths  []string // of the slots, in order
	errs   []error
}

func newReader(m model.Model, c *peftConfig, f *safetensors.Archive) *reader {
	return &reader{m: m, c: c, f: f, parts: map[string][3]string{}, spelt: map[string]string{}, whole: map[string]string{},
		slots: map[string]model.Slot{}, places: map[string]model.Param{}}
}

func (r *reader) bad(format string, a ...any) { r.errs = append(r.errs, fmt.Errorf(format, a...)) }

// foreign says that the adapter seems to belong to another model.
func (r *reader) foreign(err error) error {
	base := "it does not say for which model it was made"
	if r.c.BaseModel != nil {
		base = fmt.Sprintf("it was made for %q", *r.c.BaseModel)
	}
	return fmt.Errorf("does not fit this %s model (%s):\n%w", r.m.Info().Family, base, err)
}

// place finds the place of every tensor, and reports those that have none or do not fit it.
func (r *reader) place() error {
	for _, s := range r.m.Slots() {
		r.slots[s.Path] = s
		r.paths = append(r.paths, s.Path)
	}
	for _, p := range r.m.Places() {
		r.places[p.Name] = p
	}
	for _, name := range r.f.Names() {
		rest := strings.TrimPrefix(name, namePrefix)
		if path, which := part(rest); which >= 0 {
			r.placePart(name, path, which)
		} else {
			r.placeWhole(name, rest)
		}
	}
	r.complete()
	if len(r.parts) == 0 && len(r.errs) == 0 {
		r.bad("%s holds no adapter tensors", weightsFile)
	}
	const most = 8
	if len(r.errs) > most {
		r.errs = append(r.errs[:most], fmt.Errorf("… and %d more tensors do not fit", len(r.errs)-most))
	}
	return errors.Join(r.errs...)
}

// part splits a name into the layer's path and which of A, B and magnitude it is, -1 for none. An adapter's name may stand
// before the end, and magnitudes have been spelled with one.
func part(name string) (path string, which int) {
	for k, ends := range [][]string{{endA, ".lora_A.default.weight"}, {endB, ".lora_B.default.weight"},
		{endMagnitude, endMagnitude + ".weight", endMagnitude + ".default", endMagnitude + ".default.weight"}} {
		for _, e := range ends {
			if p, ok := strings.CutSuffix(name, e); ok {
				return p, k
			}
		}
	}
	return "", -1
}

func (r *reader) placePart(name, spelt string, which int) {
	path := r.m.Canonical(spelt)
	s, ok := r.slots[path]
	if !ok {
		msg := fmt.Sprintf("tensor %q belongs to no linear layer", name)
		if near := model.Near(path, r.paths, 1); len(near) > 0 {
			msg += fmt.Sprintf("; the nearest is %s", near[0])
		}
		r.bad("%s", msg)
		return
	}
	p := r.parts[path]
	if p[which] != "" {
		r.bad("tensors %q and %q both belong to %s", p[which], name, path)
	}
	p[which] = name
	r.parts[path], r.spelt[path] = p, spelt
	info, _ := r.f.Info(name)
	in, out := s.Linear.In(), s.Linear.Out()
	if which == 2 {
		if len(info.Shape) == 0 || info.Numel() != int64(out) { // older PEFT kept a matrix of one row
			r.bad("tensor %q has shape %v; want [%d] for the layer of %d -> %d", name, info.Shape, out, in, out)
		}
	} else if want := []int{in, out}[which]; len(info.Shape) != 2 || info.Shape[1-which] != want {
		r.bad("tensor %q has shape %v; want %d for the layer of %d -> %d", name, info.Shape, want, in, out)
	}
}

// placeWhole takes a parameter of the base that the configuration says was trained.
func (r *reader) placeWhole(name, rest string) {
	spelt := strings.NewReplacer(".modules_to_save.default.", ".", ".base_layer.", ".").Replace(rest)
	path := r.m.Canonical(spelt)
	p, ok := r.places[path]
	switch {
	case strings.Contains(rest, ".lora_embedding_"):
		r.bad("tensor %q is an adapter of an embedding, which is not supported; modules_to_save trains embeddings", name)
		return
	case !ok:
		msg := fmt.Sprintf("tensor %q is neither a lora_A nor a lora_B, and no parameter of the model", name)
		var names []string
		for _, q := range r.m.Places() {
			names = append(names, q.Name)
		}
		if near := model.Near(path, names, 1); len(near) > 0 {
			msg += fmt.Sprintf("; the nearest is %s", near[0])
		}
		r.bad("%s", msg)
		return
	}
	module := path[:max(0, strings.LastIndexByte(path, '.'))]
	saved := slices.ContainsFunc(r.c.ModulesToSave, func(t string) bool { return within(module, t) || within(module, r.m.Canonical(t)) })
	bias := r.c.Bias != "none" && strings.HasSuffix(path, ".bias")
	embedding := strings.HasSuffix(rest, ".base_layer.weight") // PEFT stores embeddings and heads that it adapts
	if !saved && !bias && !embedding {
		r.bad("tensor %q replaces a parameter that neither modules_to_save nor bias of %s names", name, configFile)
	}
	if other, twice := r.whole[path]; twice {
		r.bad("tensors %q and %q both are %s", other, name, path)
	}
	r.whole[path] = name
	if info, _ := r.f.Info(name); !slices.Equal(info.Shape, p.Shape) {
		r.bad("tensor %q has shape %v; want %v", name, info.Shape, p.Shape)
	}
}

// complete reports layers with parts missing, and what the configuration names but the file lacks: an adapter cut short.
func (r *reader) complete() {
	for _, path := range r.paths {
		p, ok := r.parts[path]
		switch {
		case !ok:
		case p[0] == "" || p[1] == "":
			r.bad("%s has only one of lora_A and lora_B", path)
		case (p[2] != "") != r.c.UseDoRA:
			r.bad("%s has %s", path, map[bool]string{true: "no lora_magnitude_vector, and use_dora is true", false: "a lora_magnitude_vector, and use_dora is false"}[r.c.UseDoRA])
		}
	}
	if len(r.errs) > 0 || len(r.parts) == 0 {
		return
	}
	list, _ := r.c.TargetModules.([]any)
	var missing []string
	for _, t := range list {
		name, _ := t.(string)
		found := name == AllLinear
		for path := range r.parts {
			found = found || named(path, name) || named(path, r.m.Canonical(name))
		}
		if !found {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		r.bad("target_modules names %s, for which %s has no tensors", strings.Join(missing, ", "), weightsFile)
	}
	for _, t := range r.c.ModulesToSave {
		n := 0
		for _, p := range r.m.Places() {
			module := p.Name[:max(0, strings.LastIndexByte(p.Name, '.'))]
			if !within(module, t) && !within(module, r.m.Canonical(t)) {
				continue
			}
			if n++; r.whole[p.Name] == "" {
				r.bad("modules_to_save names %s, whose parameter %s %s lacks", t, p.Name, weightsFile)
			}
		}
		if n == 0 {
			r.bad("modules_to_save names %s, which the model does not have", t)
		}
	}
}

// size is a layer's rank and alpha by the configuration, whose patterns may mean the file's own spelling.
func (r *reader) size(path string) (rank int, alpha float64, err error) {
	rank, alpha = r.c.Rank, r.c.Alpha
	for _, p := range []string{path, r.spelt[path]} { // the file's own spelling has the last word
		i, err := r.c.RankPattern.find(p)
		if err != nil {
			return 0, 0, err
		}
		if i >= 0 {
			rank = int(r.c.RankPattern[i].value)
		}
		if i, err = r.c.AlphaPattern.find(p); err != nil {
			return 0, 0, err
		}
		if i >= 0 {
			alpha = r.c.AlphaPattern[i].value
		}
	}
	return rank, alpha, nil
}

// adapter loads the tensors.
func (r *reader) adapter(dev *tensor.Device) (*Adapter, error) {
	a := &Adapter{Config: r.c.config(), model: r.m}
	param := func(name string, shape ...int) (*nn.Param, error) {
		v, err := r.f.Floats(name)
		if err != nil {
			return nil, err
		}
		p := nn.NewParam(nn.InitZeros, shape...)
		p.Tensor = dev.FromFloats(v, shape...)
		p.Tensor.SetName(name)
		return p, nil
	}
	for i, s := range r.m.Slots() {
		names, ok := r.parts[s.Path]
		if !ok {
			continue
		}
		rank, alpha, err := r.size(s.Path)
		if err != nil {
			return nil, err
		}
		infoA, _ := r.f.Info(names[0])
		infoB, _ := r.f.Info(names[1])
		if infoA.Shape[0] != infoB.Shape[1] {
			return nil, fmt.Errorf("%s: lora_A has rank %d, lora_B %d", s.Path, infoA.Shape[0], infoB.Shape[1])
		}
		if infoA.Shape[0] != rank {
			return nil, fmt.Errorf("%s has the rank %d; %s gives it %d", s.Path, infoA.Shape[0], configFile, rank)
		}
		t := Target{Path: s.Path, Tower: s.Tower, In: s.Linear.In(), Out: s.Linear.Out(), Rank: rank, Alpha: alpha, slot: i}
		l := &nn.LoRA{Scale: a.Config.scale(rank, alpha), Stream: uint64(i)}
		if l.A, err = param(names[0], rank, t.In); err != nil {
			return nil, err
		}
		if l.B, err = param(names[1], t.Out, rank); err != nil {
			return nil, err
		}
		t.Params = l.A.Numel() + l.B.Numel()
		if names[2] != "" {
			if l.Magnitude, err = param(names[2], t.Out); err != nil {
				return nil, err
			}
			t.Params += l.Magnitude.Numel()
		}
		a.Targets, a.layers = append(a.Targets, t), append(a.layers, l)
	}
	for _, q := range r.m.Places() {
		name, ok := r.whole[q.Name]
		if !ok {
			continue
		}
		p, err := param(name, q.Shape...)
		if err != nil {
			return nil, err
		}
		a.Whole = append(a.Whole, Whole{Path: q.Name, Tower: q.Tower, Shape: q.Shape, Params: q.Numel(), Bias: strings.HasSuffix(q.Name, ".bias") && r.c.Bias != "none"})
		a.whole = append(a.whole, model.Param{Name: q.Name, Tower: q.Tower, Param: p})
	}
	return a, nil
}

// check reports what Read would say of a directory, from configurations and headers alone.
func check(m model.Model, dir string) error {
	config, weights := files(dir)
	c, err := readConfig(config)
	if err != nil {
		return fmt.Errorf("lora: adapter %s: %w", dir, err)
	}
	f, err := safetensors.Open(weights)
	if err != nil {
		return fmt.Errorf("lora: adapter %s: %w", dir, err)
	}
	defer f.Close()
	r := newReader(m, c, f)
	if err := r.place(); err != nil {
		return fmt.Errorf("lora: adapter %s: %w", dir, r.foreign(err))
	}
	return nil
}
