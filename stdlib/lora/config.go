package lora

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dlclark/regexp2"

	"lightbox/stdlib/models/model"
)

// AllLinear as the only target means every Linear but the output head, as in PEFT.
const AllLinear = "all-linear"

// Bias says which biases train beside the adapters. They change in place and count as trained, not as added.
type Bias string

// The choices, PEFT's "none", "all" and "lora_only".
const (
	BiasNone     Bias = ""
	BiasAll      Bias = "all"       // of every layer, norms and vision tower included
	BiasLoRAOnly Bias = "lora_only" // of the adapted layers
)

// Config says which layers get adapters of which size. Zero fields have the
// default given; the names are PEFT's.
type Config struct {
	Rank    int     // r, default 8
	Alpha   float64 // lora_alpha, default twice the rank; adapters are scaled by alpha/rank
	Dropout float64 // lora_dropout on the adapter's input during training

	// TargetModules are names of modules, matched as PEFT does: the whole path or
	// its end after a dot. AllLinear alone means every Linear but the head. Without
	// TargetModules and TargetRegexp the target is every Linear of the language model
	// but the head.
	TargetModules []string
	// TargetRegexp must match the whole path (PEFT's target_modules given as a string).
	TargetRegexp string
	// Exclude takes modules out again, by name as TargetModules.
	Exclude []string
	// Towers restricts the targets; none means no restriction.
	Towers []model.Tower
	// Layers keeps only these numbers of a layer, PEFT's layers_to_transform: the first number in the path.
	Layers []int
	// LayersPattern names the lists that Layers counts in ("layers", "blocks"), each a regular expression; none means any.
	LayersPattern []string

	UseRSLoRA bool // scale by alpha/sqrt(rank) (Kalajdzievski, 2023)
	// UseDoRA learns the norm of each output's weights apart from their direction (Liu et al., 2024): one more parameter
	// per output of an adapted layer.
	UseDoRA bool

	// RankPattern and AlphaPattern give single layers another rank or alpha: a key is a regular expression that must match
	// the path or its end after a dot. Of several that match, the first in alphabetical order counts.
	RankPattern  map[string]int
	AlphaPattern map[string]float64

	// ModulesToSave are trained in full, as float32 copies, and saved with the adapter: names of modules, matched as
	// TargetModules ("lm_head", "embed_tokens", "multi_modal_projector"). Layers within them get no adapters. The copy of a
	// tied head or embedding is tied no more, as in PEFT.
	ModulesToSave []string
	Bias          Bias // which biases train; none

	// LRRatio is LoRA+ (Hayou et al., 2024): B, magnitudes and whole vectors learn at LRRatio times the learning rate. 0: 1.
	LRRatio float64
}

// LanguageOnly adapts every Linear of the language model, nothing of the vision
// tower or the connector: image features can then be computed once.
func LanguageOnly() Config {
	return Config{Rank: 16, Alpha: 32, Towers: []model.Tower{model.Language}, TargetModules: []string{AllLinear}}
}

// filled is the configuration with its defaults.
func (c Config) filled() Config {
	if c.Rank == 0 {
		c.Rank = 8
	}
	if c.Alpha == 0 {
		c.Alpha = 2 * float64(c.Rank)
	}
	if len(c.TargetModules) == 0 && c.TargetRegexp == "" {
		c.TargetModules = []string{AllLinear}
		if len(c.Towers) == 0 {
			c.Towers = []model.Tower{model.Language}
		}
	}
	if c.Bias == "none" {
		c.Bias = BiasNone
	}
	if c.LRRatio == 0 {
		c.LRRatio = 1
	}
	return c
}

// Check reports what is wrong with the configuration whatever the model.
func (c Config) Check() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("lora: "+format, a...)) }
	positive := func(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }
	if c.Rank < 0 {
		bad("Rank is %d; want at least 1", c.Rank)
	}
	if !positive(c.Alpha) {
		bad("Alpha is %v; want a positive number", c.Alpha)
	}
	if !(c.Dropout >= 0 && c.Dropout < 1) {
		bad("Dropout is %v; want at least 0 and less than 1", c.Dropout)
	}
	if len(c.TargetModules) > 0 && c.TargetRegexp != "" {
		bad("TargetModules and TargetRegexp are both set; want one of them")
	}
	if len(c.TargetModules) > 1 && slices.Contains(c.TargetModules, AllLinear) {
		bad("TargetModules has %q beside other names; it must stand alone", AllLinear)
	}
	for _, t := range c.Towers {
		if !slices.Contains([]model.Tower{model.Language, model.Vision, model.Connector}, t) {
			bad("Towers has the unknown %q; known: language, vision, connector", t)
		}
	}
	if c.Bias != "none" && c.Bias != BiasNone && c.Bias != BiasAll && c.Bias != BiasLoRAOnly {
		bad("Bias is %q; known: none, all, lora_only", c.Bias)
	}
	if !positive(c.LRRatio) {
		bad("LRRatio is %v; want a positive number, at least 1 as LoRA+ has it", c.LRRatio)
	}
	return errors.Join(append(errs, c.checkPatterns()...)...)
}

// checkPatterns reports regular expressions that are none, and what they map to.
func (c Config) checkPatterns() []error {
	var errs []error
	if len(c.LayersPattern) > 0 && len(c.Layers) == 0 {
		errs = append(errs, errors.New("lora: LayersPattern is set without Layers, whose numbers it looks for"))
	}
	if _, err := compile(c.TargetRegexp); err != nil {
		errs = append(errs, fmt.Errorf("lora: TargetRegexp %q: %w", c.TargetRegexp, err))
	}
	for _, p := range c.LayersPattern {
		if _, err := layerPattern(p); err != nil {
			errs = append(errs, fmt.Errorf("lora: LayersPattern %q: %w", p, err))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(c.RankPattern)) {
		if _, err := ending(k); err != nil {
			errs = append(errs, fmt.Errorf("lora: RankPattern %q: %w", k, err))
		}
		if r := c.RankPattern[k]; r < 1 {
			errs = append(errs, fmt.Errorf("lora: RankPattern %q is %d; want at least 1", k, r))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(c.AlphaPattern)) {
		if _, err := ending(k); err != nil {
			errs = append(errs, fmt.Errorf("lora: AlphaPattern %q: %w", k, err))
		}
		if v := c.AlphaPattern[k]; !(v > 0) || math.IsInf(v, 0) {
			errs = append(errs, fmt.Errorf("lora: AlphaPattern %q is %v; want a positive number", k, v))
		}
	}
	return errs
}

// compile makes a whole-path matcher of a Python-like regular expression.
func compile(source string) (*regexp2.Regexp, error) { return python(`^(?:` + source + `)$`) }

// ending makes the matcher of a key of a pattern: the whole path, or its end after a dot.
func ending(key string) (*regexp2.Regexp, error) { return python(`^(.*\.)?(` + key + `)$`) }

// layerPattern finds the first number behind a list of layers, as PEFT does.
func layerPattern(pattern string) (*regexp2.Regexp, error) {
	return python(`^(?:^|.*?\.)(?:` + pattern + `)\.(?<idx>\d+)\.`)
}

func python(source string) (*regexp2.Regexp, error) {
	re, err := regexp2.Compile(source, regexp2.None)
	if err != nil {
		return nil, err
	}
	re.MatchTimeout = time.Second
	return re, nil
}

// scale is the factor of an adapter of that rank.
func (c Config) scale(rank int, alpha float64) float32 {
	if c.UseRSLoRA {
		return float32(alpha / math.Sqrt(float64(rank)))
	}
	return float32(alpha / float64(rank))
}

// named reports whether PEFT's list rule matches: the path itself, or its end after a dot.
func named(path, target string) bool { return path == target || strings.HasSuffix(path, "."+target) }

// Whole tells whether something besides adapters trains: then the model is not
// the base's any more, and no other adapter can stand on it.
func (c Config) Whole() bool {
	return len(c.ModulesToSave) > 0 || c.Bias != BiasNone && c.Bias != "none"
}
