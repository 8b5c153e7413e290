package models

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/models/model"
)

// TinyLLaVA is the checkpoint embedded in the binary: a LLaVA of about three million
// parameters that this repository pretrained on drawn pictures. It is no
// medical model.
const TinyLLaVA = "tiny-llava"

//go:embed tiny
var tinyFiles embed.FS

// loadParams say where a checkpoint is. Where it lies is in no key: its files'
// content is.
type loadParams struct {
	Ref    string `key:"local"` // as the recipe names it
	Path   string `key:"local"` // directory; "" for an embedded one
	Digest string // of an embedded checkpoint
	Pad    bool   // PadToSquare
}

var loadOp = &step.Op{Name: "models.Load", Version: "1",
	RestsOn: func(s step.Step) (kind, name string) {
		return "weights", filepath.Base(s.Params.(loadParams).Ref)
	},
	Check: func(s step.Step) []error {
		p := s.Params.(loadParams)
		if p.Path == "" {
			return nil
		}
		_, err := checkpointFiles(p.Path)
		if err != nil {
			return []error{err}
		}
		return nil
	},
	Files: func(s step.Step) ([]string, error) {
		p := s.Params.(loadParams)
		if p.Path == "" {
			return nil, nil
		}
		return checkpointFiles(p.Path)
	},
	Cost: func(s step.Step) step.Cost {
		p := s.Params.(loadParams)
		var c step.Cost
		files, _ := checkpointFiles(p.Path)
		for _, f := range files {
			if info, err := os.Stat(f); err == nil {
				c.ReadBytes += float64(info.Size())
			}
		}
		return c
	},
	Run: runLoad,
}

// Load is the checkpoint that ref names: TinyLLaVA, a directory in Hugging Face's
// layout (config.json, model.safetensors or shards, tokenizer.json), or
// "org/name" of a repository in the Hugging Face cache (HF_HOME), optionally
// with "@revision". The result is a list of one, labelled system=ref's last part.
// With ConfigOnly the configuration is enough, and all that can be had; PadToSquare
// changes how a LLaVA-1.5 sees pictures; Quantize(NF4) holds the weights in 4 bits. A
// checkpoint that bitsandbytes has quantised is read as it is.
func Load(ref string, options ...Option) model.Systems {
	label := frame.Labels{}.Set("system", filepath.Base(ref))
	o, err := readOptions(options)
	if err != nil {
		return model.NewSystems(model.System{Labels: label, Base: step.Bad(loadOp, err)})
	}
	if o.only {
		config, err := findConfig(ref)
		return o.quantized(configOnly(label, ref, config, err))
	}
	if step.Current().Rehearse && ref != TinyLLaVA {
		return rehearsed(label, ref)
	}
	bad := func(err error) model.Systems {
		return model.NewSystems(model.System{Labels: label, Base: step.Bad(loadOp, err)})
	}
	p := loadParams{Ref: ref, Pad: o.pad}
	var config []byte
	if ref == TinyLLaVA {
		p.Digest, config, err = embedded()
	} else if p.Path, err = find(ref); err == nil {
		config, err = os.ReadFile(filepath.Join(p.Path, "config.json"))
	}
	if err != nil {
		return bad(err)
	}
	f, err := familyOf(config)
	if err != nil {
		return bad(fmt.Errorf("checkpoint %s: config.json: %w", ref, err))
	}
	if m, err := f.New(config); err != nil {
		return bad(fmt.Errorf("checkpoint %s: %w", ref, err))
	} else if _, err := stored(m, config); err != nil {
		return bad(fmt.Errorf("checkpoint %s: %w", ref, err))
	} else if _, err := padded(m, o.pad); err != nil {
		return bad(fmt.Errorf("checkpoint %s: models.PadToSquare: %w", ref, err))
	}
	return o.quantized(model.NewSystems(model.System{
		Labels: label, Base: step.New(loadOp, p),
		Skeleton: skeleton(f, p.Path, config),
	}))
}

// skeleton builds the model without weights, with what the files in dir, if any, say of its images. It reads them once.
func skeleton(f model.Family, dir string, config []byte) func() (model.Model, error) {
	if f.Plan == nil || dir == "" {
		return func() (model.Model, error) {
			m, err := f.New(config)
			if err != nil {
				return nil, err
			}
			return stored(m, config)
		}
	}
	plan := sync.OnceValues(func() (model.Model, error) { return f.Plan(dir) })
	return func() (model.Model, error) {
		m, err := plan()
		if err != nil {
			return nil, err
		}
		return stored(m.Share(), config)
	}
}

// embedded is the digest and the config.json of the embedded checkpoint.
func embedded() (digest string, config []byte, err error) {
	config, err = tinyFiles.ReadFile("tiny/config.json")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, fmt.Errorf("checkpoint %q is not embedded in this build; make it with recipes/pretrain_tiny, export it to stdlib/models/tiny and build again", TinyLLaVA)
	}
	h := sha256.New()
	err = eachTiny(func(name string, raw []byte) error {
		fmt.Fprintf(h, "%s %d\n", name, len(raw))
		h.Write(raw)
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), config, err
}

// eachTiny visits the files of the embedded checkpoint, in order of name.
func eachTiny(f func(name string, raw []byte) error) error {
	list, err := tinyFiles.ReadDir("tiny")
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Name() == "README.md" {
			continue
		}
		raw, err := tinyFiles.ReadFile("tiny/" + e.Name())
		if err != nil {
			return err
		}
		if err := f(e.Name(), raw); err != nil {
			return err
		}
	}
	return nil
}

// runLoad checks the checkpoint and records what it is. An embedded one is
// written out; one on disk stays where it is, and model.json holds its digests.
func runLoad(ctx *step.Context, dir string) error {
	p := ctx.Step().Params.(loadParams)
	record := struct {
		Checkpoint string            `json:"checkpoint"`
		Family     string            `json:"family"`
		Parameters int64             `json:"parameters"`
		Files      map[string]string `json:"sha256"`
	}{Checkpoint: p.name(), Files: map[string]string{}}
	from := p.Path
	if from == "" {
		from = dir
		if err := eachTiny(func(name string, raw []byte) error {
			return os.WriteFile(filepath.Join(dir, name), raw, 0o644)
		}); err != nil {
			return err
		}
	}
	f, config, err := familyIn(from)
	if err != nil {
		return err
	}
	if err := f.Check(from); err != nil {
		return err
	}
	m, err := f.New(config)
	if err != nil {
		return err
	}
	record.Family = m.Info().Family
	for _, q := range m.Params() {
		record.Parameters += q.Numel()
	}
	files, err := checkpointFiles(from)
	if err != nil {
		return err
	}
	for _, path := range files {
		if record.Files[filepath.Base(path)], err = ctx.Digest(path); err != nil {
			return err
		}
	}
	raw, err := jsonIndent(record)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "model.json"), raw, 0o644)
}

// Dir is the directory of the checkpoint that a base step stands for, while a
// step that has it among its inputs runs.
func Dir(ctx *step.Context, base step.Ref) string {
	base, _ = unquantised(base)
	if p, ok := base.Step().Params.(loadParams); ok && p.Path != "" {
		return p.Path
	}
	return ctx.Dir(base)
}

// Open loads the base checkpoint of a system. Steps of one run share the
// weights; the returned model's adapter slots are the caller's own.
func Open(ctx *step.Context, base step.Ref) (model.Model, error) {
	base, q := unquantised(base)
	if base.Step().Op == configOp {
		return nil, errConfigOnly
	}
	dir, key := Dir(ctx, base), "models.Open:"
	if q != nil {
		key += fmt.Sprintf("%s %q:", q.Format, q.Keep)
	}
	m, err := ctx.Once(key+dir, func() (any, error) {
		f, config, err := familyIn(dir)
		if err != nil {
			return nil, err
		}
		if q == nil {
			return f.Open(ctx, dir)
		}
		return openQuantised(ctx, f, dir, config, q)
	})
	if err != nil {
		return nil, err
	}
	p, _ := base.Step().Params.(loadParams)
	return padded(m.(model.Model).Share(), p.Pad)
}

// openQuantised opens a checkpoint whose weights are quantised on the way.
func openQuantised(ctx *step.Context, f model.Family, dir string, config []byte, p *quantParams) (model.Model, error) {
	q, err := quantisation(p.Format, p.Keep)
	if err != nil {
		return nil, err
	}
	m, err := f.New(config)
	if err == nil {
		m, err = stored(m, config)
	}
	if err == nil {
		err = quantise(m, q)
	}
	if err != nil {
		return nil, fmt.Errorf("models: %s: %w", dir, err)
	}
	return f.Open(model.WithForms(ctx, model.Forms(m), ctx.Progress), dir)
}

// padded is m, or with pad m as it pads pictures to a square.
func padded(m model.Model, pad bool) (model.Model, error) {
	if !pad {
		return m, nil
	}
	p, ok := m.(model.SquarePadder)
	if !ok {
		return nil, fmt.Errorf("family %s does not pad pictures to a square", m.Info().Family)
	}
	return p.PadToSquare()
}

// Join puts lists one after another.
func Join(lists ...model.Systems) model.Systems { return model.Join(lists...) }

// Cross makes every combination of a system with a value of the label key:
// Cross(systems, "prompt", "plain", "modality").
func Cross(systems model.Systems, key string, values ...string) model.Systems {
	var out []model.Systems
	for _, v := range values {
		out = append(out, systems.As(key, v))
	}
	return model.Join(out...)
}

// Name is what an adapter's file calls the base that ref loads: the name as the
// recipe gives it, of a directory its last part, and "" of a base that is no
// loaded checkpoint. It holds no path of this machine.
func Name(base step.Ref) string {
	base, _ = unquantised(base)
	p, ok := base.Step().Params.(loadParams)
	if !ok {
		return ""
	}
	return p.name()
}

func (p loadParams) name() string {
	if filepath.IsAbs(p.Ref) || strings.HasPrefix(p.Ref, ".") {
		return filepath.Base(p.Ref)
	}
	return p.Ref
}
