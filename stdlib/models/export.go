package models

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/models/model"
)

// ExportOptions say where and how a checkpoint is written.
type ExportOptions struct {
	Dir   string // directory to write besides the artifact; "" for none
	DType string // "bf16" (default) or "f32"
}

// Exported is a checkpoint directory in Hugging Face's layout.
type Exported struct {
	ref step.Ref
	dir string
}

// Refs is the step that writes the checkpoint.
func (e Exported) Refs() []step.Ref { return []step.Ref{e.ref} }

// View lists the files with their sizes.
func (e Exported) View(dirs []string) (view.View, error) {
	list, err := os.ReadDir(dirs[0])
	if err != nil {
		return nil, err
	}
	t := view.Table{Title: "Exported checkpoint", Header: [][]view.Cell{{{Text: "file"}, {Text: "bytes", Align: view.Right}}},
		Align: []view.Align{view.Left, view.Right}}
	for _, f := range list {
		info, err := f.Info()
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, view.Row{Cells: []view.Cell{{Text: f.Name()}, {Text: model.Thousands(info.Size())}}})
	}
	if e.dir != "" {
		t.Footer = []string{"copied to " + e.dir}
	}
	return t, nil
}

var exportOp = &step.Op{Name: "models.Export", Version: "1",
	Check: func(s step.Step) []error {
		if d := s.Params.(ExportOptions).DType; d != "" && d != "bf16" && d != "f32" {
			return []error{fmt.Errorf("dtype %q; known: bf16, f32", d)}
		}
		return nil
	},
	Run: func(ctx *step.Context, dir string) error {
		p := ctx.Step().Params.(ExportOptions)
		m, err := Open(ctx, ctx.Step().In[0])
		if err != nil {
			return err
		}
		dt := tensor.BF16
		if p.DType == "f32" {
			dt = tensor.F32
		}
		if err := m.Save(dir, dt); err != nil {
			return err
		}
		if p.Dir == "" {
			return nil
		}
		return copyDir(p.Dir, dir)
	},
}

// Export writes the base checkpoint of a system as a Hugging Face directory
// that transformers loads: config.json, model.safetensors, the tokenizer's and
// the processor's files. systems must be a list of one, without adapters.
func Export(systems model.Systems, o ExportOptions) Exported {
	all := systems.All()
	if len(all) != 1 {
		return Exported{ref: step.Bad(exportOp, fmt.Errorf("%d systems; want one", len(all)))}
	}
	if n := len(all[0].Adapters); n > 0 {
		return Exported{ref: step.Bad(exportOp, fmt.Errorf("system %s has %d adapters; an export holds the base alone", all[0].Name(), n))}
	}
	return Exported{ref: step.New(exportOp, o, all[0].Base), dir: o.Dir}
}

// copyDir copies plain files, each written beside its name and renamed.
func copyDir(to, from string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	list, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, f := range list {
		if f.IsDir() || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		if err := copyFile(filepath.Join(to, f.Name()), filepath.Join(from, f.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, out.Close(), os.Remove(out.Name()))
		}
	}()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	if err := errors.Join(out.Chmod(0o644), out.Sync()); err != nil {
		return err
	}
	if err := os.Rename(out.Name(), to); err != nil {
		return err
	}
	return out.Close()
}
