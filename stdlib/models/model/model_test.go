package model

import (
	"fmt"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/frame"
)

const x = Ignore

func TestLossBatch(t *testing.T) {
	for _, c := range []struct {
		name    string
		samples []*Sample
		want    string // tail, rows, targets
	}{
		{"the last prompt token predicts the first label", []*Sample{{IDs: []int32{1, 2, 3, 4}, Labels: []int32{x, x, 3, 4}}}, "[3] [0 1] [3 4]"},
		{"a gap", []*Sample{{IDs: []int32{1, 2, 3, 4, 5}, Labels: []int32{x, 2, x, 4, x}}}, "[5] [0 2] [2 4]"},
		{"the first token is predicted by nothing", []*Sample{{IDs: []int32{1, 2}, Labels: []int32{1, 2}}}, "[2] [0] [2]"},
		{"two, rows counted through", []*Sample{{IDs: []int32{1, 2, 3}, Labels: []int32{x, x, 3}}, {IDs: []int32{5, 6}, Labels: []int32{x, 6}}}, "[2 2] [0 2] [3 6]"},
		{"one without labels", []*Sample{{IDs: []int32{1, 2, 3}, Labels: []int32{x, x, x}}, {IDs: []int32{5, 6}, Labels: []int32{x, 6}}}, "[1 2] [1] [6]"},
		{"none", []*Sample{{IDs: []int32{1}, Labels: []int32{1}}}, "[1] [] []"},
	} {
		tail, rows, targets := LossBatch(c.samples)
		if got := fmt.Sprint(tail, rows, targets); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
		n := 0
		for _, s := range c.samples {
			n += s.LossTokens()
		}
		if n != len(rows) {
			t.Errorf("%s: LossTokens gives %d, LossBatch %d rows", c.name, n, len(rows))
		}
	}
}

func TestSystems(t *testing.T) {
	op := &step.Op{Name: "test"}
	a, b := step.New(op, 1), step.New(op, 2)
	s := Join(NewSystems(System{Base: a}).As("system", "base"), NewSystems(System{Base: a}.Adapted(b)).As("system", "LoRA").As("prompt", "plain"))
	if got := len(s.Refs()); got != 2 {
		t.Errorf("%d refs; a shared base counts once", got)
	}
	more := s.All()[1].Adapted(a)
	if len(s.All()[1].Adapters) != 1 || len(more.Adapters) != 2 || len(more.Trained(b).Adapters) != 0 {
		t.Error("Adapted changed its receiver, or Trained kept adapters")
	}
	v, err := s.View(nil)
	if err != nil {
		t.Fatal(err)
	}
	var b2 strings.Builder
	for _, r := range append([]view.Row{{Cells: v.(view.Table).Header[0]}}, v.(view.Table).Rows...) {
		for _, c := range r.Cells {
			b2.WriteString(c.Text + "|")
		}
		b2.WriteByte('\n')
	}
	const want = "system|prompt|family|parameters|adapters|\nbase||?|?|0|\nLoRA|plain|?|?|1|\n"
	if b2.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b2.String(), want)
	}
	if (System{}).Name() != "unnamed system" || (System{Labels: frame.Labels{}.Set("a", "b")}).Name() != "a=b" {
		t.Error("names")
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 7063427072: "7,063,427,072"} {
		if got := Thousands(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestNear(t *testing.T) {
	if got := fmt.Sprint(Near("qproj", []string{"o_proj", "q_proj", "fc1", "k_proj"}, 2)); got != "[q_proj k_proj]" {
		t.Error(got)
	}
	if got := Near("xyz", []string{"q_proj"}, 2); got != nil {
		t.Error(got)
	}
}
