package lock

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"lightbox/runtime/step"
	"lightbox/runtime/store"
)

// Pair is one thing that two runs have in different ways; "" is a thing that
// one of them lacks.
type Pair struct {
	Name string // the variable, or "" of the whole run
	What string // "parameter Rank", "file model.safetensors", "seed"
	A, B string
}

// Difference is what Diff found.
type Difference struct {
	Causes  []Pair   // what the runs were given: parameters, files, versions, seed
	Results []Pair   // the same was given and the result has other bits
	Numbers []Pair   // of displayed tables; What is row / column
	Follow  []string // variables that differ since what they are made from does

	EqualEntries, EqualNumbers int
}

// None reports whether nothing differs.
func (d Difference) None() bool {
	return len(d.Causes)+len(d.Results)+len(d.Numbers)+len(d.Follow) == 0
}

// Diff names only what differs between two runs and counts what is equal.
func Diff(a, b *File) Difference {
	var d Difference
	add := func(name, what, x, y string) {
		if x != y {
			d.Causes = append(d.Causes, Pair{name, what, x, y})
		}
	}
	if a.Recipe != b.Recipe {
		add("", "recipe", a.Recipe, b.Recipe)
	}
	add("", "seed", strconv.FormatUint(a.Seed, 10), strconv.FormatUint(b.Seed, 10))
	for _, k := range keys(a.Params, b.Params) {
		add("", "--set "+k, orDefault(a.Params[k]), orDefault(b.Params[k]))
	}
	for _, name := range keys(a.Entries, b.Entries) {
		x, inA := a.Entries[name]
		y, inB := b.Entries[name]
		switch {
		case !inB:
			add(name, "step", x.Op, "")
		case !inA:
			add(name, "step", "", y.Op)
		default:
			d.entry(name, x, y)
		}
		for _, k := range keys(x.Numbers, y.Numbers) {
			switch u, v := x.Numbers[k], y.Numbers[k]; {
			case u == v:
				d.EqualNumbers++
			case len(x.Numbers) > 0 && len(y.Numbers) > 0: // else one side has not been run
				d.Numbers = append(d.Numbers, Pair{variable(name), k, u, v})
			}
		}
	}
	return d
}

func (d *Difference) entry(name string, x, y Entry) {
	begin := len(d.Causes)
	add := func(what, u, v string) {
		if u != v {
			d.Causes = append(d.Causes, Pair{name, what, u, v})
		}
	}
	add("step", x.Op, y.Op)
	if x.Op == y.Op { // else their parameters have nothing to do with each other
		add("version of "+x.Op, x.Version, y.Version)
		for _, c := range step.Differences([]byte(x.Params), []byte(y.Params)) {
			what := "parameter " + c.Name
			if c.Function() || strings.HasPrefix(c.Before, `"func `) {
				what = "function " + c.Name
			}
			add(what, orDefault(c.Before), orDefault(c.Now))
		}
	}
	if x.Sources != y.Sources {
		d.files(name, x, y)
	}
	switch {
	case len(d.Causes) > begin:
	case x.Key != y.Key:
		if v := variable(name); !slices.Contains(d.Follow, v) {
			d.Follow = append(d.Follow, v)
		}
	case x.Content != "" && y.Content != "" && x.Content != y.Content:
		d.Results = append(d.Results, Pair{name, "content", fmt.Sprintf("%.12s on %s", x.Content, x.Device), fmt.Sprintf("%.12s on %s", y.Content, y.Device)})
	default:
		d.EqualEntries++
	}
	if x.Content != "" && y.Content != "" { // both were run
		add("device", x.Device, y.Device)
		add("lightbox", x.Lightbox, y.Lightbox)
	}
}

// files names the external files that differ, at most listedFiles of an entry.
func (d *Difference) files(name string, x, y Entry) {
	before, now := byName(x.files()), byName(y.files())
	if len(before) == 0 || len(now) == 0 {
		d.Causes = append(d.Causes, Pair{name, "files", orNone(short(x.Sources)), orNone(short(y.Sources))})
		return
	}
	n := 0
	for _, f := range keys(before, now) {
		if before[f] == now[f] {
			continue
		}
		if n++; n <= listedFiles {
			d.Causes = append(d.Causes, Pair{name, "file " + f, before[f], now[f]})
		}
	}
	if n > listedFiles {
		d.Causes = append(d.Causes, Pair{name, fmt.Sprintf("and %d more files", n-listedFiles), short(x.Sources), short(y.Sources)})
	}
	if n == 0 {
		d.Causes = append(d.Causes, Pair{name, "order of files", short(x.Sources), short(y.Sources)})
	}
}

const listedFiles = 8

func byName(list []store.Source) map[string]string {
	out := map[string]string{}
	for _, s := range list {
		out[s.Path] = s.SHA256
	}
	return out
}

func short(s string) string { return s[:min(len(s), shortHash)] }

func orDefault(s string) string {
	if s == "" {
		return "default"
	}
	return s
}

// keys are those of two maps, sorted.
func keys[V any](a, b map[string]V) []string {
	var out []string
	for k := range a {
		out = append(out, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out
}
