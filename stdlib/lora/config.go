package lora

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dlclark/regexp2"

	"lightbox/stdlib/models/model"
)

// AllLinear as the only target means every Linear but the output head, as in PEFT.
const AllLinear = "all-linear"

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
	// Layers keeps only these numbers of a layer ("layers.N."), PEFT's layers_to_transform.
	Layers []int

	UseRSLoRA bool // scale by alpha/sqrt(rank) (Kalajdzievski, 2023)
}

// LanguageOnly adapts every Linear of the language model, nothing of the vision
// tower or the connector: image features can then be computed once.
func LanguageOnly() Config {
	return Config{Rank: 16, Alpha: 32, Towers: []model.Tower{model.Language}, TargetModules: []string{AllLinear}}
}

// Paper is the configuration of the paper's Table 3 for the LLaVA models: rank
// 16 on the q, k and v projections and the MLP by name. Names reach the vision
// tower's q, k and v too, and only with those does the published count
// (40,108,032 for LLaVA-1.6 Mistral) come out.
func Paper() Config {
	return Config{Rank: 16, Alpha: 32, TargetModules: []string{"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "down_proj"}}
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
	return c
}

// Check reports what is wrong with the configuration whatever the model.
func (c Config) Check() error {
	var errs []error
	if c.Rank < 0 {
		errs = append(errs, fmt.Errorf("lora: Rank is %d; want at least 1", c.Rank))
	}
	if c.Alpha < 0 || math.IsNaN(c.Alpha) || math.IsInf(c.Alpha, 0) {
		errs = append(errs, fmt.Errorf("lora: Alpha is %v; want a positive number", c.Alpha))
	}
	if !(c.Dropout >= 0 && c.Dropout < 1) {
		errs = append(errs, fmt.Errorf("lora: Dropout is %v; want at least 0 and less than 1", c.Dropout))
	}
	if len(c.TargetModules) > 0 && c.TargetRegexp != "" {
		errs = append(errs, errors.New("lora: TargetModules and TargetRegexp are both set; want one of them"))
	}
	if len(c.TargetModules) > 1 && slices.Contains(c.TargetModules, AllLinear) {
		errs = append(errs, fmt.Errorf("lora: TargetModules has %q beside other names; it must stand alone", AllLinear))
	}
	for _, t := range c.Towers {
		if !slices.Contains([]model.Tower{model.Language, model.Vision, model.Connector}, t) {
			errs = append(errs, fmt.Errorf("lora: Towers has the unknown %q; known: language, vision, connector", t))
		}
	}
	if _, err := compile(c.TargetRegexp); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// compile makes a whole-path matcher of a Python-like regular expression.
func compile(source string) (*regexp2.Regexp, error) {
	re, err := regexp2.Compile(`^(?:`+source+`)$`, regexp2.None)
	if err != nil {
		return nil, fmt.Errorf("lora: TargetRegexp %q: %w", source, err)
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

var layerNumber = regexp.MustCompile(`\.(\d+)\.`)

// inLayers reports whether the first number in the path is one of layers.
func inLayers(path string, layers []int) bool {
	m := layerNumber.FindStringSubmatch(path)
	if m == nil {
		return false
	}
	n, err := strconv.Atoi(m[1])
	return err == nil && slices.Contains(layers, n)
}
