package models

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/models/model"
)

//go:embed published
var publishedFiles embed.FS

// card is one of the paper's ten systems.
type card struct {
	System     string // as Table 2 calls it
	Group      string // LVLM, SVLM or baseline
	Checkpoint string // repository on the Hugging Face hub; "" of the baselines, which have none
	Config     string // file beside cards.yaml
	Encoder    string
	Decoder    string
	Connector  string
	Published  int64  // elements of the published checkpoint's tensors; 0 unknown
	Paper      string // Table 2's figure
}

// cards are the ten systems in Table 2's order.
var cards = sync.OnceValue(func() []card {
	var out []card
	raw, err := publishedFiles.ReadFile("published/cards.yaml")
	if err == nil {
		err = yaml.Unmarshal(raw, &out)
	}
	if err != nil {
		panic("models: published/cards.yaml: " + err.Error()) // embedded: a mistake of the program
	}
	return out
})

func (c card) config() ([]byte, error) { return publishedFiles.ReadFile("published/" + c.Config) }

// Option changes how Load takes a checkpoint.
type Option string

// ConfigOnly builds the module tree from config.json alone: to count, to match adapters' targets and to estimate, without
// weights. Of the paper's systems the binary carries the configurations.
const ConfigOnly Option = "config only"

// PadToSquare has a LLaVA-1.5 pad pictures to a square with the mean colour, as the original did, where the published
// settings cut the middle out.
const PadToSquare Option = "pad to square"

type configParams struct {
	Ref    string `key:"local"`
	Config string // config.json
}

var configOp = &step.Op{Name: "models.Config", Version: "1", Run: func(ctx *step.Context, dir string) error {
	return os.WriteFile(filepath.Join(dir, "config.json"), []byte(ctx.Step().Params.(configParams).Config), 0o644)
}}

// configOnly is the system of a configuration.
func configOnly(label frame.Labels, ref string, config []byte, err error) model.Systems {
	bad := func(err error) model.Systems {
		return model.NewSystems(model.System{Labels: label, Base: step.Bad(configOp, fmt.Errorf("configuration %s: %w", ref, err))})
	}
	if err != nil {
		return bad(err)
	}
	f, err := familyOf(config)
	if err != nil {
		return bad(fmt.Errorf("config.json: %w", err))
	}
	if _, err := skeleton(f, "", config)(); err != nil {
		return bad(err)
	}
	return model.NewSystems(model.System{
		Labels: label, Base: step.New(configOp, configParams{ref, string(config)}),
		Skeleton: skeleton(f, "", config),
	})
}

// findConfig reads the config.json that ref names: a directory, a published checkpoint of the paper, or a repository in
// the Hugging Face cache.
func findConfig(ref string) ([]byte, error) {
	if info, err := os.Stat(ref); err == nil && info.IsDir() {
		return os.ReadFile(filepath.Join(ref, "config.json"))
	}
	for _, c := range cards() {
		name, _, _ := strings.Cut(c.Checkpoint, "@")
		if ref == c.Checkpoint || ref == name || ref == c.System {
			return c.config()
		}
	}
	dir, err := find(ref)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "config.json"))
}

// Paper is the ten systems of the paper in the order of its Table 2, labelled system (as the paper calls it) and group
// (LVLM, SVLM, baseline). With ConfigOnly nothing but their configurations is needed; otherwise each must be in the
// Hugging Face cache, and the baselines, which nobody has published, are left out: see Baselines.
func Paper(options ...Option) model.Systems {
	o, err := readOptions(options)
	if err == nil && o.pad {
		err = errors.New("models.PadToSquare is for one checkpoint of LLaVA-1.5: give it to models.Load")
	}
	var out []model.Systems
	for _, c := range cards() {
		label := frame.Labels{}.Set("system", c.System).Set("group", c.Group)
		switch {
		case err != nil:
			out = append(out, model.NewSystems(model.System{Labels: label, Base: step.Bad(configOp, err)}))
		case o.only:
			config, err := c.config()
			out = append(out, o.quantized(configOnly(label, c.System, config, err)))
		case c.Checkpoint != "":
			out = append(out, o.quantized(Load(c.Checkpoint)).As("system", c.System).As("group", c.Group))
		}
	}
	return model.Join(out...)
}

// readOptions tells which options are set, and reports what is no option.
func readOptions(options []Option) (set optionSet, err error) {
	for _, o := range options {
		text, quant := strings.CutPrefix(string(o), quantizePrefix)
		switch {
		case o == ConfigOnly:
			set.only = true
		case o == PadToSquare:
			set.pad = true
		case quant && set.quant != nil:
			return set, errors.New("models.Quantize is given twice")
		case quant:
			set.quant = strings.Fields(text)
		default:
			return set, fmt.Errorf("option %q; known: models.ConfigOnly, models.PadToSquare, models.Quantize", string(o))
		}
	}
	return set, nil
}

// optionSet is which options are set.
type optionSet struct {
	only, pad bool
	quant     []string // of Quantize: the format and what is kept
}

// quantized is the systems as Quantize asks.
func (o optionSet) quantized(s model.Systems) model.Systems {
	if len(o.quant) == 0 {
		return s
	}
	return Quantized(s, Format(o.quant[0]), o.quant[1:]...)
}

// errConfigOnly is why a system without weights cannot be opened.
var errConfigOnly = errors.New("the system was loaded with models.ConfigOnly and has no weights: load it without")

// jsonIndent is v as an indented file.
func jsonIndent(v any) ([]byte, error) {
	raw, err := json.MarshalIndent(v, "", "  ")
	return append(raw, '\n'), err
}
