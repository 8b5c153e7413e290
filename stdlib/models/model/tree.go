package model

import (
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
)

// Tree is a family's module tree with its names: the methods of Model that follow from the tree alone. Families embed it.
type Tree struct {
	Root  any                          // struct of layers with weight tags
	Head  *nn.Linear                   // the output head, nil without one of its own
	Tower func(canonical string) Tower // the part of the model that a name belongs to
	Names Names                        // of tensors in checkpoints
}

// Params lists the base parameters in the order of the module tree.
func (t *Tree) Params() []Param { return t.placed(nn.Params(t.Root)) }

// Buffers lists the buffers in the order of the module tree.
func (t *Tree) Buffers() []Param { return t.placed(nn.Buffers(t.Root)) }

func (t *Tree) placed(list []nn.Named) []Param {
	var out []Param
	for _, p := range list {
		out = append(out, Param{Name: p.Name, Tower: t.Tower(p.Name), Param: p.Param})
	}
	return out
}

// Device is where the parameters live: what Vision, NewKV and every other method computes on, a device without memory
// while work is measured (Measure). Nil in a model without weights.
func (t *Tree) Device() *tensor.Device {
	for _, p := range nn.Params(t.Root) {
		if p.Tensor != nil {
			return p.Tensor.Device()
		}
	}
	return nil
}

// Slots lists every Linear.
func (t *Tree) Slots() []Slot {
	var out []Slot
	for _, l := range nn.Linears(t.Root) {
		out = append(out, Slot{Path: l.Path, Tower: t.Tower(l.Path), Head: l.Linear == t.Head, Linear: l.Linear})
	}
	return out
}

// Modules lists the paths of all modules.
func (t *Tree) Modules() []string { return nn.Modules(t.Root) }

// Canonical turns any spelling of a name into the module tree's.
func (t *Tree) Canonical(name string) string { return t.Names.Canonical(name) }

// Places lists every place where a parameter stands, a tied one once for each of its names.
func (t *Tree) Places() []Param { return t.placed(nn.Places(t.Root)) }

// Own is the parameter at the place of that name, for itself: see nn.Own.
func (t *Tree) Own(name string) (Param, bool) {
	p, ok := nn.Own(t.Root, name)
	if !ok {
		return Param{}, false
	}
	return Param{Name: name, Tower: t.Tower(name), Param: p}, true
}

// Spelling is how a generation of transformers calls a canonical name.
func (t *Tree) Spelling(l Layout, canonical string) string {
	if t.Names.Spell == nil {
		return canonical
	}
	return t.Names.Spell(l, canonical)
}
