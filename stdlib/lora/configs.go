package lora

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lightbox/stdlib/models/model"
)

// Choice says which Config a system gets: a Config, the same for all, or Configs, one for each value of a label.
type Choice interface {
	// For is the configuration of a system; an error where there is none.
	For(s model.System) (Config, error)
}

// For is the configuration itself, whatever the system.
func (c Config) For(model.System) (Config, error) { return c, nil }

// Configs are configurations by a label of the systems: "system", as models.Paper sets it, or what By names. It is
// immutable.
type Configs struct {
	label string // "" is "system"
	list  []configOf
}

type configOf struct {
	value  string
	config Config
}

// By are no configurations yet, to be found by that label: lora.By("strategy").With("small", …).
func By(label string) Configs { return Configs{label: label} }

// With is the list with the configuration for one more value of the label, or another for one that is in it.
func (c Configs) With(value string, config Config) Configs {
	list := slices.Clone(c.list)
	for i := range list {
		if list[i].value == value {
			list[i].config = config
			return Configs{c.label, list}
		}
	}
	return Configs{c.label, append(list, configOf{value, config})}
}

// Only restricts every configuration to towers.
func (c Configs) Only(towers ...model.Tower) Configs {
	list := slices.Clone(c.list)
	for i := range list {
		list[i].config.Towers = slices.Clone(towers)
	}
	return Configs{c.label, list}
}

// Values are the label's values in order.
func (c Configs) Values() []string {
	var out []string
	for _, x := range c.list {
		out = append(out, x.value)
	}
	return out
}

// For is the configuration of a system by its label.
func (c Configs) For(s model.System) (Config, error) {
	label := c.label
	if label == "" {
		label = "system"
	}
	value := s.Labels.Get(label)
	for _, x := range c.list {
		if x.value == value {
			return x.config, nil
		}
	}
	if value == "" {
		return Config{}, fmt.Errorf("lora: the system has no label %q, by which its configuration is found", label)
	}
	msg := fmt.Sprintf("lora: no configuration for the %s %q", label, value)
	if near := model.Near(value, c.Values(), 1); len(near) > 0 {
		msg += fmt.Sprintf("; did you mean %q?", near[0])
	} else {
		msg += "; there are " + strings.Join(c.Values(), ", ")
	}
	return Config{}, errors.New(msg)
}
