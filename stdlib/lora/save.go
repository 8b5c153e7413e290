package lora

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"sort"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/safetensors"
)

// Save writes the adapter as a PEFT directory with transformers 5's module
// paths. base is recorded as base_model_name_or_path; it may be "".
func (a *Adapter) Save(dir, base string) error { return a.SaveAs(dir, base, model.Layout5) }

// SaveAs is Save with the module paths of a generation of transformers, which PEFT needs to find the layers there.
func (a *Adapter) SaveAs(dir, base string, l model.Layout) error {
	w := writer{Adapter: a, spell: func(s string) string { return a.model.Spelling(l, s) }}
	config, weights := files(dir)
	raw, err := json.MarshalIndent(w.config(base), "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(config, append(raw, '\n'), 0o644); err != nil {
		return err
	}
	var out []safetensors.Tensor
	for _, p := range a.Params() {
		out = append(out, safetensors.Tensor{Name: w.name(p.Name), DType: safetensors.F32, Shape: p.Shape, Data: func() []byte { return ops.Bytes(p.T()) }})
	}
	return safetensors.Write(weights, out, map[string]string{"format": "pt"})
}

// A writer spells an adapter for one generation of transformers.
type writer struct {
	*Adapter
	spell func(canonical string) string
}

// name is a parameter's name in the file. PEFT keeps the layer that it wraps as base_layer, and so its bias.
func (w writer) name(name string) string {
	path := strings.TrimPrefix(name, namePrefix)
	for _, end := range []string{endA, endB, endMagnitude} {
		if layer, ok := strings.CutSuffix(path, end); ok {
			return namePrefix + w.spell(layer) + end
		}
	}
	path = w.spell(path)
	if layer, ok := strings.CutSuffix(path, ".bias"); ok && slices.ContainsFunc(w.Targets, func(t Target) bool { return w.spell(t.Path) == layer }) {
		return namePrefix + layer + ".base_layer.bias"
	}
	return namePrefix + path
}

func (w writer) config(base string) peftConfig {
	c := peftConfig{
		Bias: "none", InferenceMode: true, InitLoRAWeights: true, LoftQConfig: map[string]any{}, Alpha: w.Config.Alpha, Dropout: w.Config.Dropout,
		PEFTType: "LORA", Rank: w.Config.Rank, TargetModules: w.targets(), ModulesToSave: w.saved(), UseDoRA: w.Config.UseDoRA, UseRSLoRA: w.Config.UseRSLoRA,
	}
	if base != "" {
		c.BaseModel = &base
	}
	if w.Config.Bias != BiasNone {
		c.Bias = string(w.Config.Bias)
	}
	for _, l := range w.model.Slots() {
		c.FanInFanOut = c.FanInFanOut || l.Linear.Transposed
	}
	var ranks, alphas pattern
	for _, k := range slices.Sorted(maps.Keys(w.Config.RankPattern)) {
		ranks = append(ranks, entry{k, float64(w.Config.RankPattern[k])})
	}
	for _, k := range slices.Sorted(maps.Keys(w.Config.AlphaPattern)) {
		alphas = append(alphas, entry{k, w.Config.AlphaPattern[k]})
	}
	c.RankPattern = w.pattern(ranks, float64(c.Rank), func(t Target) float64 { return float64(t.Rank) })
	c.AlphaPattern = w.pattern(alphas, c.Alpha, func(t Target) float64 { return t.Alpha })
	return c
}

// pattern is p where it gives every target its value in the paths as they are spelled here, else one entry per layer that
// differs from the rest.
func (w writer) pattern(p pattern, rest float64, value func(Target) float64) pattern {
	good := true
	var exact pattern
	for _, t := range w.Targets {
		i, err := p.find(w.spell(t.Path))
		got := rest
		if i >= 0 {
			got = p[i].value
		}
		good = good && err == nil && got == value(t)
		if value(t) != rest {
			exact = append(exact, entry{w.spell(t.Path), value(t)})
		}
	}
	if good {
		return p
	}
	return exact
}

// saved is modules_to_save such that PEFT, which takes any end of a path, finds exactly the same modules.
func (w writer) saved() []string {
	if len(w.Config.ModulesToSave) == 0 {
		return nil
	}
	var want, paths []string
	for _, m := range w.model.Modules() {
		path := w.spell(m)
		paths = append(paths, path)
		if slices.ContainsFunc(w.Config.ModulesToSave, func(t string) bool { return named(m, t) }) {
			want = append(want, path)
		}
	}
	for _, path := range paths {
		if !slices.Contains(want, path) && slices.ContainsFunc(w.Config.ModulesToSave, func(t string) bool { return strings.HasSuffix(path, t) }) {
			return want
		}
	}
	for _, path := range want {
		if !slices.ContainsFunc(w.Config.ModulesToSave, func(t string) bool { return named(path, t) }) {
			return want
		}
	}
	return w.Config.ModulesToSave
}

// targets is target_modules such that PEFT finds exactly the same layers:
// the layers' last names where those mean the same set, else a regular
// expression over a tower, else all paths.
func (w writer) targets() any {
	want := map[string]bool{}
	towers := map[string]bool{}
	var ends []string
	for _, t := range w.Targets {
		want[w.spell(t.Path)] = true
		parts := strings.Split(t.Path, ".")
		towers[parts[min(1, len(parts)-1)]] = true
		if end := parts[len(parts)-1]; !slices.Contains(ends, end) {
			ends = append(ends, end)
		}
	}
	sort.Strings(ends)
	var paths []string
	for _, m := range w.model.Modules() {
		if !slices.ContainsFunc(w.Config.ModulesToSave, func(t string) bool { return within(m, t) }) {
			paths = append(paths, w.spell(m))
		}
	}
	same := func(match func(path string) bool) bool {
		n := 0
		for _, path := range paths {
			if match(path) {
				if !want[path] {
					return false
				}
				n++
			}
		}
		return n == len(want)
	}
	if same(func(path string) bool {
		return slices.ContainsFunc(ends, func(t string) bool { return named(path, t) })
	}) {
		return ends
	}
	// The expression fits the paths of transformers before 4.52 as well, where they hold the towers' names.
	expression := `.*(` + strings.Join(slices.Sorted(maps.Keys(towers)), "|") + `)\.(.*\.)?(` + strings.Join(ends, "|") + `)`
	if re, err := compile(expression); err == nil && same(func(path string) bool { ok, err := re.MatchString(path); return ok && err == nil }) {
		return expression
	}
	return slices.Sorted(maps.Keys(want))
}
