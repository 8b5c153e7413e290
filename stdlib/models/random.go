package models

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/models/model"
)

type tinyParams struct {
	Family string
	Config string // SHA-256 of the config.json that the family's Tiny writes: another one is another checkpoint
}

var tinyOp = &step.Op{Name: "models.Tiny", Version: "1", Seeded: true, RestsOn: tinyRests, Run: func(ctx *step.Context, dir string) error {
	f, err := familyNamed(ctx.Step().Params.(tinyParams).Family)
	if err != nil {
		return err
	}
	files, err := os.MkdirTemp(dir, ".files")
	if err != nil {
		return err
	}
	defer os.RemoveAll(files)
	if err := f.Tiny(files); err != nil {
		return err
	}
	m, err := f.Init(ctx, files, ctx.Seed)
	if err != nil {
		return err
	}
	ctx.Logf("%s: %s random parameters", f.Name, model.Count(m.Params()))
	return m.Save(dir, tensor.F32)
}}

func tinyRests(s step.Step) (kind, name string) {
	p, ok := s.Params.(tinyParams)
	if !ok {
		return "", ""
	}
	return "random weights", "tiny-" + p.Family
}

// Tiny is a small checkpoint of a family with random weights, drawn from the run's seed: the real architecture in the
// published layout, which the reference implementation loads too. It answers nonsense, at the speed of a rehearsal.
// rehearsed is what a rehearsal takes for a checkpoint: a tiny random one of the same family. Of the paper's systems the
// binary knows the families; another checkpoint must be where it will be read from, for its config.json.
func rehearsed(label frame.Labels, ref string) model.Systems {
	config, err := findConfig(ref)
	var f model.Family
	if err == nil {
		f, err = familyOf(config)
	}
	if err == nil && f.Tiny == nil {
		err = fmt.Errorf("family %s has no tiny form to rehearse with", f.Name)
	}
	if err != nil {
		return model.NewSystems(model.System{Labels: label, Base: step.Bad(tinyOp, fmt.Errorf("checkpoint %s: %w", ref, err))})
	}
	return Tiny(f.Name).As("system", label.Get("system"))
}

// Families lists the names. The result is a list of one, labelled system=tiny-<family>.
func Tiny(family string) model.Systems {
	label := frame.Labels{}.Set("system", "tiny-"+family)
	f, err := familyNamed(family)
	if err != nil {
		return model.NewSystems(model.System{Labels: label, Base: step.Bad(tinyOp, err)})
	}
	plan, err := planTiny(f)
	if err != nil {
		return model.NewSystems(model.System{Labels: label, Base: step.Bad(tinyOp, err)})
	}
	sum := sha256.Sum256(plan.config)
	return model.NewSystems(model.System{
		Labels: label, Base: step.New(tinyOp, tinyParams{family, hex.EncodeToString(sum[:])}),
		Skeleton: plan.skeleton,
	})
}

// Families lists the names that Tiny takes.
func Families() []string {
	var out []string
	for _, f := range families() {
		if f.Tiny != nil {
			out = append(out, f.Name)
		}
	}
	return out
}

func familyNamed(name string) (model.Family, error) {
	for _, f := range families() {
		if f.Name == name && f.Tiny != nil {
			return f, nil
		}
	}
	known := Families()
	msg := fmt.Sprintf("no family %q; known: %s", name, strings.Join(known, ", "))
	if near := model.Near(name, known, 1); len(near) > 0 {
		msg += fmt.Sprintf("; did you mean %q?", near[0])
	}
	return model.Family{}, fmt.Errorf("%s", msg)
}

// tinyPlan is what is known of a family's Tiny before it is made.
type tinyPlan struct {
	config   []byte
	skeleton func() (model.Model, error)
}

var tinyPlans sync.Map // family name -> tinyPlan

// planTiny reads the files that the family's Tiny writes.
func planTiny(f model.Family) (tinyPlan, error) {
	if p, ok := tinyPlans.Load(f.Name); ok {
		return p.(tinyPlan), nil
	}
	dir, err := os.MkdirTemp("", "lightbox-tiny")
	if err != nil {
		return tinyPlan{}, err
	}
	defer os.RemoveAll(dir)
	if err := f.Tiny(dir); err != nil {
		return tinyPlan{}, err
	}
	p := tinyPlan{}
	if p.config, err = os.ReadFile(filepath.Join(dir, "config.json")); err != nil {
		return tinyPlan{}, err
	}
	p.skeleton = skeleton(f, dir, p.config)
	if _, err := p.skeleton(); err != nil { // reads the files while they are there
		return tinyPlan{}, err
	}
	tinyPlans.Store(f.Name, p)
	return p, nil
}
