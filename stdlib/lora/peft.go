package lora

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	configFile  = "adapter_config.json"
	weightsFile = "adapter_model.safetensors"
	namePrefix  = "base_model.model."

	endA         = ".lora_A.weight"
	endB         = ".lora_B.weight"
	endMagnitude = ".lora_magnitude_vector"
)

// peftConfig is adapter_config.json: the keys that every PEFT reads.
type peftConfig struct {
	AlphaPattern      pattern        `json:"alpha_pattern"`
	AutoMapping       any            `json:"auto_mapping"`
	BaseModel         *string        `json:"base_model_name_or_path"`
	Bias              string         `json:"bias"`
	ExcludeModules    any            `json:"exclude_modules"`
	FanInFanOut       bool           `json:"fan_in_fan_out"`
	InferenceMode     bool           `json:"inference_mode"`
	InitLoRAWeights   any            `json:"init_lora_weights"`
	LayersPattern     any            `json:"layers_pattern"`
	LayersToTransform any            `json:"layers_to_transform"`
	LoftQConfig       map[string]any `json:"loftq_config"`
	Alpha             float64        `json:"lora_alpha"`
	Dropout           float64        `json:"lora_dropout"`
	ModulesToSave     []string       `json:"modules_to_save"`
	PEFTType          string         `json:"peft_type"`
	Rank              int            `json:"r"`
	RankPattern       pattern        `json:"rank_pattern"`
	Revision          any            `json:"revision"`
	TargetModules     any            `json:"target_modules"`
	TaskType          any            `json:"task_type"`
	UseDoRA           bool           `json:"use_dora"`
	UseRSLoRA         bool           `json:"use_rslora"`
}

// foreign are keys of newer PEFT under which an adapter computes something else: an adapter that sets one is refused.
var foreign = []string{"alora_invocation_tokens", "arrow_config", "kasa_config", "layer_replication", "lora_bias",
	"mica", "monteclora_config", "target_parameters", "trainable_token_indices", "use_bdlora", "use_qalora", "velora_config"}

// MarshalJSON keeps the entries in their order, which PEFT goes by.
func (p pattern) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, e := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(e.key)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s:%s", key, fmt.Sprintf("%g", e.value))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON reads an object in its order.
func (p *pattern) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	open, err := d.Token()
	if err != nil || open == nil {
		return err
	}
	if open != json.Delim('{') {
		return errors.New("a pattern is an object of numbers")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var v float64
		if err := d.Decode(&v); err != nil {
			return fmt.Errorf("the pattern's key %q: %w", key, err)
		}
		*p = append(*p, entry{key.(string), v})
	}
	return nil
}

func readConfig(path string) (*peftConfig, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &peftConfig{}
	var all map[string]any
	if err := errors.Join(json.Unmarshal(raw, c), json.Unmarshal(raw, &all)); err != nil {
		return nil, fmt.Errorf("%s: %w", configFile, err)
	}
	var errs []error
	refuse := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(configFile+": "+format, a...))
		}
	}
	refuse(!strings.EqualFold(c.PEFTType, "LORA"), "peft_type is %q; only \"LORA\" is supported", c.PEFTType)
	refuse(c.Rank < 1, "r is %d; want at least 1", c.Rank)
	if c.Bias == "" {
		c.Bias = "none"
	}
	refuse(!slices.Contains([]string{"none", "all", "lora_only"}, c.Bias), "bias is %q; known: none, all, lora_only", c.Bias)
	for _, key := range foreign {
		v := all[key]
		list, isList := v.([]any)
		refuse(v != nil && v != false && (!isList || len(list) > 0), "%s is set, which is not supported", key)
	}
	for _, e := range c.RankPattern {
		refuse(e.value < 1 || e.value != float64(int(e.value)), "rank_pattern gives %q the rank %g; want a whole number of at least 1", e.key, e.value)
	}
	for _, p := range []pattern{c.RankPattern, c.AlphaPattern} {
		for _, e := range p {
			_, err := ending(e.key)
			refuse(err != nil, "the pattern %q: %v", e.key, err)
		}
	}
	return c, errors.Join(errs...)
}

// config is what the file says in this package's terms. Which layers are meant is told by the tensors alone.
func (c *peftConfig) config() Config {
	out := Config{Rank: c.Rank, Alpha: c.Alpha, Dropout: c.Dropout, UseRSLoRA: c.UseRSLoRA, UseDoRA: c.UseDoRA, ModulesToSave: c.ModulesToSave, LRRatio: 1}
	if c.Bias != "none" {
		out.Bias = Bias(c.Bias)
	}
	return out
}

// files are an adapter's two.
func files(dir string) (config, weights string) {
	return filepath.Join(dir, configFile), filepath.Join(dir, weightsFile)
}
