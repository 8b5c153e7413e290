package lora

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/models/model"
)

type loadParams struct {
	Dir      string                      `key:"local"` // absolute; the files' content is in the key
	Skeleton func() (model.Model, error) `key:"local"`
}

var loadOp = &step.Op{Name: "lora.Load", Version: "1",
	Check: func(s step.Step) []error {
		p := s.Params.(loadParams)
		if p.Skeleton == nil {
			return nil
		}
		m, err := p.Skeleton()
		if err == nil {
			err = check(m, p.Dir)
		}
		if err != nil {
			return []error{err}
		}
		return nil
	},
	Files: func(s step.Step) ([]string, error) {
		config, weights := files(s.Params.(loadParams).Dir)
		return []string{config, weights}, nil
	},
	Run: func(ctx *step.Context, dir string) error {
		config, weights := files(ctx.Step().Params.(loadParams).Dir)
		for _, f := range []string{config, weights} {
			raw, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), raw, 0o644); err != nil {
				return err
			}
		}
		return nil
	},
}

// Load puts the adapter in a PEFT directory (adapter_config.json, adapter_model.safetensors) on every system. Module paths
// may be spelled as any version of transformers did; a tensor that fits nothing is an error, before anything runs.
func Load(base model.Systems, dir string) model.Systems {
	abs, err := filepath.Abs(dir)
	return base.Map(func(s model.System) model.System {
		if err != nil {
			return s.Adapted(step.Bad(loadOp, err))
		}
		return s.Adapted(step.New(loadOp, loadParams{abs, s.Skeleton}, s.Base))
	})
}

// ExportOptions say where and how an adapter is written.
type ExportOptions struct {
	Dir string // directory to write besides the artifact; "" for none
	// Layout is the generation of transformers whose module paths the adapter gets: "5" (default), "4.52" for 4.52 to 4.57,
	// "hub" for those before.
	Layout string
	Base   string // recorded as base_model_name_or_path; "" for the checkpoint's own name
}

// Exported is an adapter as a PEFT directory.
type Exported struct {
	ref step.Ref
	dir string
}

// Refs is the step that writes the adapter.
func (e Exported) Refs() []step.Ref { return []step.Ref{e.ref} }

// View lists the files with their sizes.
func (e Exported) View(dirs []string) (view.View, error) {
	list, err := os.ReadDir(dirs[0])
	if err != nil {
		return nil, err
	}
	t := view.Table{Title: "Exported adapter", Header: [][]view.Cell{cells("file", "bytes")}, Align: []view.Align{view.Left, view.Right}}
	for _, f := range list {
		info, err := f.Info()
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, view.Row{Cells: cells(f.Name(), model.Thousands(info.Size()))})
	}
	if e.dir != "" {
		t.Footer = []string{"copied to " + e.dir}
	}
	return t, nil
}

type exportParams struct {
	Options  ExportOptions
	Skeleton func() (model.Model, error) `key:"local"`
	Name     string                      // of the base
}

var exportOp = &step.Op{Name: "lora.Export", Version: "1",
	Check: func(s step.Step) []error {
		if l := s.Params.(exportParams).Options.Layout; l != "" && l != string(model.Layout5) && l != string(model.Layout452) && l != string(model.LayoutHub) {
			return []error{fmt.Errorf(`layout %q; known: "5", "4.52" (4.52 to 4.57), "hub" (before 4.52)`, l)}
		}
		return nil
	},
	Run: func(ctx *step.Context, dir string) error {
		p := ctx.Step().Params.(exportParams)
		m, err := p.Skeleton()
		if err != nil {
			return err
		}
		a, err := Read(ctx, m, ctx.Input(0))
		if err != nil {
			return err
		}
		l := model.Layout(p.Options.Layout)
		if l == "" {
			l = model.Layout5
		}
		base := p.Options.Base
		if base == "" {
			base = p.Name
		}
		if err := a.SaveAs(dir, base, l); err != nil || p.Options.Dir == "" {
			return err
		}
		if err := os.MkdirAll(p.Options.Dir, 0o755); err != nil {
			return err
		}
		return a.SaveAs(p.Options.Dir, base, l)
	},
}

// Export writes the adapter of a system as a PEFT directory for a generation of transformers. systems must be a list of
// one with one adapter.
func Export(systems model.Systems, o ExportOptions) Exported {
	all := systems.All()
	if len(all) != 1 || len(all[0].Adapters) != 1 {
		n := 0
		if len(all) == 1 {
			n = len(all[0].Adapters)
		}
		return Exported{ref: step.Bad(exportOp, fmt.Errorf("%d systems, with %d adapters; want one with one", len(all), n))}
	}
	s := all[0]
	if s.Skeleton == nil {
		return Exported{ref: step.Bad(exportOp, errors.New("the configuration of the system is not known before it runs"))}
	}
	return Exported{ref: step.New(exportOp, exportParams{o, s.Skeleton, nameOf(s)}, s.Adapters[0]), dir: o.Dir}
}
