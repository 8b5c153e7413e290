package score

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/models/checkpoint"
)

// network is a metric that reads a checkpoint, or other files from outside. It
// runs as a step of its own, so that its values are kept by the content of
// those files, and another metric beside it, or another version of one, costs
// only its own time. Its exported fields are its options; where the files lie
// is in no key.
type network interface {
	// op is the name of the step and the version of its values: "score.BERTScore", "1".
	op() (name, version string)
	kind() string            // of what it reads, as step.Op.RestsOn names it: "weights", "dictionary"
	columns() []frame.Column // what it can give, in order; column names one by its place
	needs() []string         // String columns besides reference and caption
	check() error            // what is wrong with its options
	// checkpoint is what it reads: a file, a directory, or org/name of a
	// repository in the Hugging Face cache. "" when it needs nothing from outside.
	checkpoint() string
	// files lists the files, at and around path, that the values depend on, and
	// says of all that are lacking what they are and where they should lie.
	files(path string) ([]string, error)
	// tiny writes a tiny random checkpoint in the published layout into dir, for
	// rehearsals; the same bytes every time.
	tiny(dir string) error
	// cost estimates the work from the files alone.
	cost(files []string) step.Cost
	// run gives for every column one value per row, NaN where there is none. path
	// is the file or directory of the checkpoint.
	run(in *input, path string) ([][]float64, error)
}

// outputs makes a Metric of columns of a network, by their places. They share
// one run.
func outputs(n network, columns ...int) Metric {
	var out metrics
	for _, c := range columns {
		out = append(out, output{Net: n, Column: c})
	}
	return out
}

// output is one column of a network as a measure. Its values come from the
// network's step.
type output struct {
	Net    network
	Column int
	Name   string // of the column; "" is the network's own
}

func (o output) column() frame.Column {
	c := o.Net.columns()[o.Column]
	if o.Name != "" {
		c.Name = o.Name
	}
	return c
}

func (o output) needs() []string { return o.Net.needs() }
func (o output) check() error    { return o.Net.check() }

func (o output) score(*input) ([]float64, error) {
	return nil, errors.New("score: a network's values are read, not computed") // runCaptions never asks
}

// networkParams are the parameters of a network's step.
type networkParams struct {
	Net   network
	Path  string   `key:"local"` // "" in a rehearsal
	Files []string `key:"local"`
}

// step makes the step that computes the network's columns for the rows of f.
// What is wrong with its checkpoint is an error of the plan.
func (o output) step(f frame.Frame) step.Ref {
	name, version := o.Net.op()
	op := &step.Op{Name: name, Version: version, RestsOn: networkRests, Files: networkFiles, Cost: networkCost, Run: runNetwork}
	p := networkParams{Net: o.Net}
	if ref := o.Net.checkpoint(); ref != "" && !step.Current().Rehearse && o.Net.check() == nil {
		var err error
		if p.Path, p.Files, err = findFiles(ref, o.Net.files); err != nil {
			bad := *op
			bad.Check = func(step.Step) []error {
				return []error{fmt.Errorf("%w; leave the metric out by name, or name another checkpoint", err)}
			}
			op = &bad
		}
	}
	return step.New(op, p, f.Refs()...)
}

// findFiles resolves a checkpoint's name and lists what is read of it.
func findFiles(ref string, files func(path string) ([]string, error)) (string, []string, error) {
	found, err := checkpoint.Find(ref)
	if err != nil {
		return "", nil, err
	}
	list, err := files(found.Path)
	if err != nil && found.Fetch != "" {
		err = fmt.Errorf("%w; complete it with: %s", err, found.Fetch)
	}
	return found.Path, list, err
}

// networkRests names the checkpoint; in a rehearsal there is none to name.
func networkRests(s step.Step) (kind, name string) {
	p := s.Params.(networkParams)
	if p.Path == "" {
		return "", ""
	}
	return p.Net.kind(), filepath.Base(p.Net.checkpoint())
}

func networkFiles(s step.Step) ([]string, error) { return s.Params.(networkParams).Files, nil }

func networkCost(s step.Step) step.Cost {
	p := s.Params.(networkParams)
	return p.Net.cost(p.Files)
}

// valuesFile holds a network's columns, one row per caption; an empty field is no value.
const valuesFile = "values.csv"

func runNetwork(ctx *step.Context, dir string) error {
	p := ctx.Step().Params.(networkParams)
	rows, err := frame.Read(ctx.Input(0))
	if err != nil {
		return err
	}
	path := p.Path
	if p.Net.checkpoint() != "" && ctx.Rehearse {
		if path, err = os.MkdirTemp("", "lightbox-rehearsal-"); err != nil {
			return err
		}
		defer os.RemoveAll(path)
		if err := p.Net.tiny(path); err != nil {
			return err
		}
	}
	values, err := p.Net.run(newInput(ctx, rows), path)
	if err != nil {
		return err
	}
	return writeValues(filepath.Join(dir, valuesFile), p.Net.columns(), values)
}

func writeValues(path string, cols []frame.Column, values [][]float64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	line := make([]string, len(cols))
	for k, c := range cols {
		line[k] = c.Name
	}
	err = w.Write(line)
	for i := 0; err == nil && i < len(values[0]); i++ {
		for k := range cols {
			line[k] = ""
			if v := values[k][i]; !math.IsNaN(v) {
				line[k] = strconv.FormatFloat(v, 'g', -1, 64)
			}
		}
		if len(line) == 1 && line[0] == "" {
			line[0] = "NaN" // a line of one empty field would be skipped by readers
		}
		err = w.Write(line)
	}
	w.Flush()
	return errors.Join(err, w.Error(), f.Close())
}

// readValues reads one column of n rows back.
func readValues(dir, name string, n int) ([]float64, error) {
	path := filepath.Join(dir, valuesFile)
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(all) != n+1 {
		return nil, fmt.Errorf("%s has %d lines; want %d", path, len(all), n+1)
	}
	at := -1
	for k, c := range all[0] {
		if c == name {
			at = k
		}
	}
	if at < 0 {
		return nil, fmt.Errorf("%s has no column %q", path, name)
	}
	out := make([]float64, n)
	for i, line := range all[1:] {
		if out[i] = math.NaN(); line[at] == "" {
			continue
		}
		if out[i], err = strconv.ParseFloat(line[at], 64); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, i+2, err)
		}
	}
	return out, nil
}

// sizeOf is the bytes of files, for estimates.
func sizeOf(files []string) (n int64) {
	for _, f := range files {
		if st, err := os.Stat(f); err == nil {
			n += st.Size()
		} else if !errors.Is(err, fs.ErrNotExist) {
			return n
		}
	}
	return n
}

// distinct lists each of xs once, in order of first appearance, and where each
// of xs stands in that list: a text is encoded once, whatever the number of systems.
func distinct(xs []string) (unique []string, at []int) {
	seen := map[string]int{}
	at = make([]int, len(xs))
	for i, x := range xs {
		k, ok := seen[x]
		if !ok {
			k = len(unique)
			seen[x] = k
			unique = append(unique, x)
		}
		at[i] = k
	}
	return unique, at
}
