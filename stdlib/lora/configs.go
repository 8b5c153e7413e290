package lora

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lightbox/stdlib/models/model"
)

// Choice says which Config a system gets: a Config, the same for all, or Configs, one for each label "system".
type Choice interface {
	// For is the configuration of a system; an error where there is none.
	For(s model.System) (Config, error)
}

// For is the configuration itself, whatever the system.
func (c Config) For(model.System) (Config, error) { return c, nil }

// Configs are configurations by the label "system", as models.Paper sets it. It is immutable.
type Configs struct{ list []configOf }

type configOf struct {
	system string
	config Config
}

// With is the list with the configuration of one more system, or another for one that is in it.
func (c Configs) With(system string, config Config) Configs {
	list := slices.Clone(c.list)
	for i := range list {
		if list[i].system == system {
			list[i].config = config
			return Configs{list}
		}
	}
	return Configs{append(list, configOf{system, config})}
}

// Only restricts every configuration to towers.
func (c Configs) Only(towers ...model.Tower) Configs {
	list := slices.Clone(c.list)
	for i := range list {
		list[i].config.Towers = slices.Clone(towers)
	}
	return Configs{list}
}

// Systems are the labels in order.
func (c Configs) Systems() []string {
	var out []string
	for _, x := range c.list {
		out = append(out, x.system)
	}
	return out
}

// For is the configuration of the system's label "system".
func (c Configs) For(s model.System) (Config, error) {
	label := s.Labels.Get("system")
	for _, x := range c.list {
		if x.system == label {
			return x.config, nil
		}
	}
	if label == "" {
		return Config{}, errors.New(`lora: the system has no label "system", by which its configuration is found`)
	}
	msg := fmt.Sprintf("lora: no configuration for the system %q", label)
	if near := model.Near(label, c.Systems(), 1); len(near) > 0 {
		msg += fmt.Sprintf("; did you mean %q?", near[0])
	} else {
		msg += "; there are " + strings.Join(c.Systems(), ", ")
	}
	return Config{}, errors.New(msg)
}
