package score

import (
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/runtime/view"
	"lightbox/stdlib/frame"
)

// Captions whose picture can be loaded stand beside it; the legend stands below the last ones.
func TestComponentsBesideFilm(t *testing.T) {
	rows := frame.NewRows(frame.CaptionColumns("system"))
	for _, id := range []string{"a", "b"} {
		i := rows.Add()
		rows.SetString(i, "system", "LoRA")
		rows.SetString(i, frame.ID, id)
		rows.SetString(i, frame.Image, "film "+id)
		rows.SetString(i, frame.Reference, "CT of the chest")
		rows.SetString(i, frame.Caption, "CT of the knee")
	}
	rows.SetString(1, frame.Image, "")
	op := &step.Op{Name: "test.films", Version: "1", Run: func(_ *step.Context, dir string) error { return rows.Write(dir) }}
	f := frame.New(step.New(op, nil), rows.Columns()).WithImages(func(ref string) ([]byte, error) { return []byte(ref), nil })
	a := Components(f)
	v, err := a.View(steptest.Run(t, a.Refs()...))
	if err != nil {
		t.Fatal(err)
	}
	list := v.(view.List)
	if len(list) != 2 {
		t.Fatalf("%d views, want 2", len(list))
	}
	pair, ok := list[0].(view.List)
	if !ok || len(pair) != 2 || string(pair[0].(view.Image).PNG) != "film a" || pair[1].(view.Table).Title != "a" || len(pair[1].(view.Table).Footer) > 0 {
		t.Errorf("the first image: %#v", list[0])
	}
	if last, ok := list[1].(view.Table); !ok || last.Title != "b" || len(last.Footer) == 0 || last.Legend.Text == "" {
		t.Errorf("the second image has no picture: %#v", list[1])
	}
}
