package lora

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/dlclark/regexp2"

	"lightbox/stdlib/models/model"
)

// A matcher applies a configuration's rules to paths and notes which names were of use.
type matcher struct {
	c           Config
	target      *regexp2.Regexp
	layers      []*regexp2.Regexp
	rank, alpha pattern
	used        map[string]bool // names that matched, each behind the field's own mark
}

func newMatcher(c Config) (*matcher, error) {
	m := &matcher{c: c, used: map[string]bool{}}
	var err error
	if c.TargetRegexp != "" {
		if m.target, err = compile(c.TargetRegexp); err != nil {
			return nil, err
		}
	}
	patterns := c.LayersPattern
	if len(patterns) == 0 {
		patterns = []string{`[^.]*`}
	}
	for _, p := range patterns {
		re, err := layerPattern(p)
		if err != nil {
			return nil, err
		}
		m.layers = append(m.layers, re)
	}
	for _, k := range slices.Sorted(maps.Keys(c.RankPattern)) {
		m.rank = append(m.rank, entry{k, float64(c.RankPattern[k])})
	}
	for _, k := range slices.Sorted(maps.Keys(c.AlphaPattern)) {
		m.alpha = append(m.alpha, entry{k, c.AlphaPattern[k]})
	}
	return m, nil
}

// matches applies PEFT's rules to one layer.
func (m *matcher) matches(s model.Slot) (bool, error) {
	c, hit, err := m.c, false, error(nil)
	switch {
	case m.target != nil:
		if hit, err = m.target.MatchString(s.Path); err != nil {
			return false, fmt.Errorf("lora: TargetRegexp %q on %s: %w", c.TargetRegexp, s.Path, err)
		}
		m.use("re ", c.TargetRegexp, hit)
	case c.TargetModules[0] == AllLinear:
		hit = !s.Head
		m.use("target ", AllLinear, true)
	default:
		for _, t := range c.TargetModules {
			if named(s.Path, t) {
				hit = true
				m.use("target ", t, true)
			}
		}
	}
	for _, x := range c.Exclude {
		if named(s.Path, x) {
			hit = false
			m.use("exclusion ", x, true)
		}
	}
	if len(c.Towers) > 0 && !slices.Contains(c.Towers, s.Tower) || slices.ContainsFunc(c.ModulesToSave, func(t string) bool { return within(s.Path, t) }) {
		return false, nil
	}
	if hit && len(c.Layers) > 0 {
		hit, err = m.inLayers(s.Path)
	}
	return hit, err
}

func (m *matcher) use(kind, name string, hit bool) {
	m.used[kind+name] = m.used[kind+name] || hit
}

// within tells whether a path is the module of that name or lies below it.
func within(path, module string) bool {
	return strings.HasPrefix(path, module+".") || named(path, module) || strings.Contains(path, "."+module+".")
}

// inLayers reports whether the number of the path's layer is one of Layers.
func (m *matcher) inLayers(path string) (bool, error) {
	for _, re := range m.layers {
		got, err := re.FindStringMatch(path)
		if err != nil {
			return false, fmt.Errorf("lora: LayersPattern on %s: %w", path, err)
		}
		if got != nil {
			n, err := strconv.Atoi(got.GroupByName("idx").String())
			return err == nil && slices.Contains(m.c.Layers, n), nil
		}
	}
	return false, nil
}

// size is the rank and alpha of the layer at path.
func (m *matcher) size(path string) (rank int, alpha float64, err error) {
	rank, alpha = m.c.Rank, m.c.Alpha
	if i, err := m.rank.find(path); err != nil {
		return 0, 0, fmt.Errorf("lora: RankPattern: %w", err)
	} else if i >= 0 {
		rank = int(m.rank[i].value)
		m.use("rank ", m.rank[i].key, true)
	}
	if i, err := m.alpha.find(path); err != nil {
		return 0, 0, fmt.Errorf("lora: AlphaPattern: %w", err)
	} else if i >= 0 {
		alpha = m.alpha[i].value
		m.use("alpha ", m.alpha[i].key, true)
	}
	return rank, alpha, nil
}

// A pattern is PEFT's rank_pattern or alpha_pattern, in its order.
type pattern []entry

type entry struct {
	key   string
	value float64
}

// find is the first entry whose key matches the path or its end after a dot, -1 of none.
func (p pattern) find(path string) (int, error) {
	for i, e := range p {
		re, err := ending(e.key)
		if err == nil {
			var ok bool
			if ok, err = re.MatchString(path); ok && err == nil {
				return i, nil
			}
		}
		if err != nil {
			return -1, fmt.Errorf("%q: %w", e.key, err)
		}
	}
	return -1, nil
}
