package score

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/frame"
)

// weighed is a network whose checkpoint is a file with one character, which it counts in captions.
type weighed struct {
	Ref  string `key:"local"`
	runs *int
}

func (weighed) op() (string, string) { return "score.weighed", "1" }
func (weighed) kind() string         { return "weights" }
func (weighed) columns() []frame.Column {
	return []frame.Column{{Name: "count", Kind: frame.Number}, {Name: "none", Kind: frame.Number}}
}
func (weighed) needs() []string                     { return nil }
func (weighed) check() error                        { return nil }
func (w weighed) checkpoint() string                { return w.Ref }
func (weighed) files(path string) ([]string, error) { return []string{path}, nil }
func (weighed) cost(files []string) step.Cost       { return step.Cost{ReadBytes: float64(sizeOf(files))} }
func (weighed) tiny(dir string) error {
	return os.WriteFile(filepath.Join(dir, "letter"), []byte("e"), 0o644)
}

func (w weighed) run(in *input, path string) ([][]float64, error) {
	*w.runs++
	if in.ctx.Rehearse {
		path = filepath.Join(path, "letter")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	out := [][]float64{nil, nil}
	for _, c := range in.caps {
		out[0] = append(out[0], float64(strings.Count(c, string(raw))))
		out[1] = append(out[1], math.NaN())
	}
	return out, nil
}

func TestNetwork(t *testing.T) {
	file := filepath.Join(t.TempDir(), "letter")
	if err := os.WriteFile(file, []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	runs := 0
	rows := frame.NewRows(frame.CaptionColumns("system"))
	for _, c := range []string{"banana", "eel"} {
		i := rows.Add()
		rows.SetString(i, "system", "x")
		rows.SetString(i, frame.ID, c)
		rows.SetString(i, frame.Caption, c)
	}
	op := &step.Op{Name: "test.given", Version: "1", Run: func(_ *step.Context, dir string) error { return rows.Write(dir) }}
	f := frame.New(step.New(op, nil), rows.Columns())
	read := func(f frame.Frame) *frame.Rows {
		t.Helper()
		rows, err := frame.Read(steptest.Run(t, f.Ref())[0])
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	m := Join(ROUGE1(), outputs(weighed{Ref: file, runs: &runs}, 1, 0))
	rows = read(Captions(f, m))
	if runs != 1 {
		t.Errorf("two columns of one network ran it %d times", runs)
	}
	if got := rows.Numbers("count"); got[0] != 3 || got[1] != 0 {
		t.Errorf("counts %v", got)
	}
	if got := rows.Numbers("none"); !math.IsNaN(got[0]) || !math.IsNaN(got[1]) {
		t.Errorf("no values came back as %v", got)
	}
	leave := step.Enter(step.Scope{Rehearse: true})
	rehearsed := Captions(f, outputs(weighed{Ref: "org/not-there", runs: &runs}, 0))
	leave()
	rows = read(rehearsed)
	if got := rows.Numbers("count"); got[0] != 0 || got[1] != 2 {
		t.Errorf("in rehearsal the tiny checkpoint counts e: %v", got)
	}
	_, err := steptest.Try(t, context.Background(), Captions(f, outputs(weighed{Ref: "org/not-there", runs: &runs}, 0)).Ref())
	if err == nil || !strings.Contains(err.Error(), "hf download org/not-there") {
		t.Errorf("a missing checkpoint: %v", err)
	}
}
