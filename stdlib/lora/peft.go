package lora

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

const (
	configFile  = "adapter_config.json"
	weightsFile = "adapter_model.safetensors"
	namePrefix  = "base_model.model."
)

// peftConfig is adapter_config.json: the keys that every PEFT reads.
type peftConfig struct {
	AlphaPattern      map[string]float64 `json:"alpha_pattern"`
	AutoMapping       any                `json:"auto_mapping"`
	BaseModel         *string            `json:"base_model_name_or_path"`
	Bias              string             `json:"bias"`
	ExcludeModules    any                `json:"exclude_modules"`
	FanInFanOut       bool               `json:"fan_in_fan_out"`
	InferenceMode     bool               `json:"inference_mode"`
	InitLoRAWeights   any                `json:"init_lora_weights"`
	LayersPattern     any                `json:"layers_pattern"`
	LayersToTransform any                `json:"layers_to_transform"`
	LoftQConfig       map[string]any     `json:"loftq_config"`
	Alpha             float64            `json:"lora_alpha"`
	Dropout           float64            `json:"lora_dropout"`
	ModulesToSave     any                `json:"modules_to_save"`
	PEFTType          string             `json:"peft_type"`
	Rank              int                `json:"r"`
	RankPattern       map[string]int     `json:"rank_pattern"`
	Revision          any                `json:"revision"`
	TargetModules     any                `json:"target_modules"`
	TaskType          any                `json:"task_type"`
	UseDoRA           bool               `json:"use_dora"`
	UseRSLoRA         bool               `json:"use_rslora"`
}

// Save writes the adapter as a PEFT directory with transformers 5's module
// paths. base is recorded as base_model_name_or_path; it may be "".
func (a *Adapter) Save(dir, base string) error {
	c := peftConfig{
		AlphaPattern: map[string]float64{}, Bias: "none", InferenceMode: true, InitLoRAWeights: true,
		LoftQConfig: map[string]any{}, Alpha: a.Config.Alpha, Dropout: a.Config.Dropout, PEFTType: "LORA",
		Rank: a.Config.Rank, RankPattern: map[string]int{}, TargetModules: a.peftTargets(),
		UseRSLoRA: a.Config.UseRSLoRA,
	}
	if base != "" {
		c.BaseModel = &base
	}
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, configFile), append(raw, '\n'), 0o644); err != nil {
		return err
	}
	var out []safetensors.Tensor
	for _, p := range a.Params() {
		out = append(out, safetensors.Tensor{Name: p.Name, DType: safetensors.F32, Shape: p.Shape, Data: func() []byte { return ops.Bytes(p.T()) }})
	}
	return safetensors.Write(filepath.Join(dir, weightsFile), out, map[string]string{"format": "pt"})
}

// peftTargets is target_modules such that PEFT finds exactly the same layers:
// the layers' last names where those mean the same set, else a regular
// expression over a tower, else all paths.
func (a *Adapter) peftTargets() any {
	want := map[string]bool{}
	towers := map[string]bool{}
	var last []string
	for _, t := range a.Targets {
		want[t.Path] = true
		parts := strings.Split(t.Path, ".")
		towers[parts[min(1, len(parts)-1)]] = true
		if end := parts[len(parts)-1]; !slices.Contains(last, end) {
			last = append(last, end)
		}
	}
	sort.Strings(last)
	same := func(match func(path string) bool) bool {
		n := 0
		for _, path := range a.model.Modules() {
			if match(path) {
				if !want[path] {
					return false
				}
				n++
			}
		}
		return n == len(want)
	}
	byName := func(path string) bool {
		return slices.ContainsFunc(last, func(t string) bool { return named(path, t) })
	}
	if same(byName) {
		return last
	}
	var names []string
	for t := range towers {
		names = append(names, t)
	}
	sort.Strings(names)
	// The expression fits the paths of transformers before 4.52 as well.
	pattern := `.*(` + strings.Join(names, "|") + `)\.(.*\.)?(` + strings.Join(last, "|") + `)`
	if re, err := compile(pattern); err == nil && same(func(path string) bool { ok, err := re.MatchString(path); return ok && err == nil }) {
		return pattern
	}
	paths := make([]string, 0, len(want))
	for p := range want {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	return paths
}

// Attach reads a PEFT directory and adds its adapters to the model's slots, for
// inference. It accepts every spelling of the module paths that transformers
// has used, and fails on a tensor that it cannot place, where PEFT only warns.
func Attach(ctx context.Context, m model.Model, dir string) error {
	if err := attach(ctx, m, dir); err != nil {
		return fmt.Errorf("lora: adapter %s: %w", dir, err)
	}
	return nil
}

func attach(ctx context.Context, m model.Model, dir string) error {
	c, err := readConfig(filepath.Join(dir, configFile))
	if err != nil {
		return err
	}
	a, err := safetensors.Open(filepath.Join(dir, weightsFile))
	if err != nil {
		return err
	}
	defer a.Close()
	pairs, err := pairUp(m, a)
	if err != nil {
		return forModel(err, m, c)
	}
	if err := checkTargets(m, c, pairs); err != nil {
		return forModel(err, m, c)
	}
	dev := ops.From(ctx)
	for i, s := range m.Slots() {
		p, ok := pairs[s.Path]
		if !ok {
			continue
		}
		info, _ := a.Info(p[0])
		rank := info.Shape[0]
		alpha := c.Alpha
		if v, ok := lookup(c.AlphaPattern, s.Path); ok {
			alpha = v
		}
		l := &nn.LoRA{
			A: nn.NewParam(nn.InitZeros, rank, s.Linear.In()), B: nn.NewParam(nn.InitZeros, s.Linear.Out(), rank),
			Scale: Config{UseRSLoRA: c.UseRSLoRA}.scale(rank, alpha), Stream: uint64(i),
		}
		for k, q := range []*nn.Param{l.A, l.B} {
			v, err := a.Floats(p[k])
			if err != nil {
				return err
			}
			q.Tensor = dev.FromFloats(v, q.Shape...)
			q.Tensor.SetName(p[k])
		}
		s.Linear.Adapters = append(s.Linear.Adapters, l)
	}
	return nil
}

// forModel says that the adapter seems to belong to another model.
func forModel(err error, m model.Model, c *peftConfig) error {
	base := "it does not say for which model it was made"
	if c.BaseModel != nil {
		base = fmt.Sprintf("it was made for %q", *c.BaseModel)
	}
	return fmt.Errorf("does not fit this %s model (%s):\n%w", m.Info().Family, base, err)
}

func readConfig(path string) (*peftConfig, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &peftConfig{}
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, fmt.Errorf("%s: %w", configFile, err)
	}
	var errs []error
	refuse := func(bad bool, what string) {
		if bad {
			errs = append(errs, fmt.Errorf("%s: %s", configFile, what))
		}
	}
	refuse(!strings.EqualFold(c.PEFTType, "LORA"), fmt.Sprintf("peft_type is %q; only \"LORA\" is supported", c.PEFTType))
	refuse(c.Rank < 1, fmt.Sprintf("r is %d; want at least 1", c.Rank))
	refuse(c.UseDoRA, "use_dora is not supported")
	refuse(c.FanInFanOut, "fan_in_fan_out is not supported")
	refuse(c.Bias != "" && c.Bias != "none", fmt.Sprintf("bias is %q; only \"none\" is supported", c.Bias))
	if list, ok := c.ModulesToSave.([]any); ok {
		refuse(len(list) > 0, fmt.Sprintf("modules_to_save %v is not supported", list))
	}
	return c, errors.Join(errs...)
}

// pairUp finds for every adapted layer the names of its A and B in the file,
// and reports every tensor that belongs to no layer or has the wrong shape.
func pairUp(m model.Model, a *safetensors.Archive) (map[string][2]string, error) {
	slots := map[string]model.Slot{}
	var paths []string
	for _, s := range m.Slots() {
		slots[s.Path] = s
		paths = append(paths, s.Path)
	}
	const most = 8
	var errs []error
	pairs := map[string][2]string{}
	for _, name := range a.Names() {
		rest := strings.TrimPrefix(name, namePrefix)
		which := -1
		for k, end := range []string{".lora_A.weight", ".lora_B.weight"} {
			for _, e := range []string{end, strings.Replace(end, ".weight", ".default.weight", 1)} {
				if p, ok := strings.CutSuffix(rest, e); ok {
					rest, which = p, k
				}
			}
		}
		if which < 0 {
			errs = append(errs, fmt.Errorf("tensor %q is neither a lora_A nor a lora_B", name))
			continue
		}
		path := m.Canonical(rest)
		s, ok := slots[path]
		if !ok {
			msg := fmt.Sprintf("tensor %q belongs to no linear layer", name)
			if near := model.Near(path, paths, 1); len(near) > 0 {
				msg += fmt.Sprintf("; the nearest is %s", near[0])
			}
			errs = append(errs, errors.New(msg))
			continue
		}
		p := pairs[path]
		if p[which] != "" {
			errs = append(errs, fmt.Errorf("tensors %q and %q both belong to %s", p[which], name, path))
		}
		p[which] = name
		pairs[path] = p
		info, _ := a.Info(name)
		if want := []int{s.Linear.In(), s.Linear.Out()}[which]; len(info.Shape) != 2 || info.Shape[1-which] != want {
			errs = append(errs, fmt.Errorf("tensor %q has shape %v; want %d for the layer of %d -> %d", name, info.Shape, want, s.Linear.In(), s.Linear.Out()))
		}
	}
	for _, path := range paths {
		p, ok := pairs[path]
		switch {
		case !ok:
		case p[0] == "" || p[1] == "":
			errs = append(errs, fmt.Errorf("%s has only one of lora_A and lora_B", path))
		default:
			ia, _ := a.Info(p[0])
			ib, _ := a.Info(p[1])
			if len(ia.Shape) == 2 && len(ib.Shape) == 2 && ia.Shape[0] != ib.Shape[1] {
				errs = append(errs, fmt.Errorf("%s: lora_A has rank %d, lora_B %d", path, ia.Shape[0], ib.Shape[1]))
			}
		}
	}
	if len(pairs) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s holds no adapter tensors", weightsFile))
	}
	if len(errs) > most {
		errs = append(errs[:most], fmt.Errorf("… and %d more tensors do not fit", len(errs)-most))
	}
	return pairs, errors.Join(errs...)
}

// checkTargets reports layers that target_modules names by list but the file
// lacks: an adapter cut short.
func checkTargets(m model.Model, c *peftConfig, pairs map[string][2]string) error {
	list, ok := c.TargetModules.([]any)
	if !ok {
		return nil
	}
	var missing []string
	for _, t := range list {
		name, _ := t.(string)
		found := false
		for path := range pairs {
			found = found || named(path, name) || named(path, m.Canonical(name))
		}
		if !found && name != AllLinear {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("target_modules names %s, for which %s has no tensors", strings.Join(missing, ", "), weightsFile)
	}
	return nil
}

// lookup is PEFT's pattern rule: the first key, in order, that matches the end of the path.
func lookup(pattern map[string]float64, path string) (float64, bool) {
	keys := make([]string, 0, len(pattern))
	for k := range pattern {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		re, err := compile(`(.*\.)?(` + k + `)`)
		if err != nil {
			continue
		}
		if ok, err := re.MatchString(path); ok && err == nil {
			return pattern[k], true
		}
	}
	return 0, false
}
