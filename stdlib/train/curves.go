package train

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/models/model"
)

// Curves is the course of the systems' training, a row for every optimiser step: the systems' labels, then step, loss (the
// mean over the step's tokens), lr, grad_norm (before clipping) and valid_loss, which is absent where it was not measured.
// An interrupted training has every step once. plot.Curves(train.Curves(adapted), "step", "loss") draws it.
func Curves(systems model.Systems) frame.Frame { return courses(curvesOp, systems, curve()) }

// Speed is how fast the systems were trained and in how much memory, a row for every optimiser step: labels, then step,
// tokens_per_s (of captions), images_per_s and memory_mb, the most that the device held at once so far. It tells of the
// run that was made, not of its result: another run has other numbers, and lock files leave out what is made of them.
func Speed(systems model.Systems) frame.Frame { return courses(speedOp, systems, speed()) }

// The files beside a trained artifact in which the executor keeps what a training reports.
const (
	metricsFile = "metrics.jsonl"
	timingsFile = "timings.jsonl"
)

// A quantity is a column of what a training reports.
type quantity struct{ name, title, note string }

func curve() []quantity {
	return []quantity{
		{"loss", "", "mean negative log-likelihood of a token"},
		{"lr", "learning rate", ""},
		{"grad_norm", "gradient norm", "of all parameters together, before clipping"},
		{"valid_loss", "loss on valid", "mean over the tokens of the split valid"},
	}
}

func speed() []quantity {
	return []quantity{
		{"tokens_per_s", "tokens/s", "what the loss is a mean over, in a second"},
		{"images_per_s", "images/s", ""},
		{"memory_mb", "memory in MB", "most that the device held at once"},
	}
}

const stepColumn = "step"

func columnsOf(qs []quantity) []frame.Column {
	cols := []frame.Column{{Name: stepColumn, Kind: frame.Number}}
	for _, q := range qs {
		cols = append(cols, frame.Column{Name: q.name, Kind: frame.Number, Title: q.title, Note: q.note, Lower: strings.HasSuffix(q.name, "loss")})
	}
	return cols
}

func courses(op *step.Op, systems model.Systems, qs []quantity) frame.Frame {
	if systems.Len() == 0 {
		return frame.New(step.Bad(op, errors.New("no trained system: the list is empty")), nil)
	}
	if err := systems.Duplicates(); err != nil {
		return frame.New(step.Bad(op, err), nil)
	}
	var parts []frame.Frame
	for _, s := range systems.All() {
		made := s.Base
		if n := len(s.Adapters); n > 0 {
			made = s.Adapters[n-1]
		}
		if !strings.HasPrefix(made.Step().Op.Name, "train.") {
			return frame.New(step.Bad(op, fmt.Errorf("system %s was not trained here: it is made by %s", s.Name(), made.Step().Op.Name)), nil)
		}
		f := frame.New(step.New(op, nil, made), columnsOf(qs))
		for _, l := range s.Labels {
			f = f.As(l.Key, l.Value)
		}
		parts = append(parts, f)
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return frame.Stack(parts...)
}

var curvesOp = &step.Op{Name: "train.Curves", Version: "1",
	Run: func(ctx *step.Context, dir string) error { return readCourse(ctx.Input(0), metricsFile, curve(), dir) }}

var speedOp = &step.Op{Name: "train.Speed", Version: "1", Volatile: true,
	Run: func(ctx *step.Context, dir string) error { return readCourse(ctx.Input(0), timingsFile, speed(), dir) }}

// readCourse makes rows of what a training reported.
func readCourse(from, file string, qs []quantity, dir string) error {
	f, err := os.Open(filepath.Join(from, file))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the training left no %s: it was made before such were kept, or had no step to do", file)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	known := map[string]bool{}
	for _, q := range qs {
		known[q.name] = true
	}
	rows := frame.NewRows(columnsOf(qs))
	at, last := -1, int64(-1)
	sc := bufio.NewScanner(f)
	for line := 1; sc.Scan(); line++ { // in the order of steps
		var v struct {
			Step  int64
			Name  string
			Value float64
		}
		if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
			return fmt.Errorf("%s:%d: %w", f.Name(), line, err)
		}
		if !known[v.Name] {
			continue
		}
		if v.Step != last {
			at, last = rows.Add(), v.Step
			rows.SetNumber(at, stepColumn, float64(v.Step))
		}
		rows.SetNumber(at, v.Name, v.Value)
	}
	if err := sc.Err(); err != nil {
		return err
	}
	return rows.Write(dir)
}
