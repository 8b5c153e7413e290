package inspect

import (
	"context"
	"testing"

	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
)

// Counted lengths are those of the examples as the model encodes them, image and all.
func TestLengths(t *testing.T) {
	base := models.Load(testmodel.Checkpoint(t))
	set := data.Phantom(data.PhantomOptions{Train: 3, Test: 2, Reports: 1, Seed: 1})
	f := Lengths(base, set, "What is this?")
	check := &step.Op{Name: "test.lengths", Version: "1", Run: func(ctx *step.Context, _ string) error {
		m, err := lora.Open(ctx, model.System{Base: ctx.Step().In[0]})
		if err != nil {
			return err
		}
		r, err := data.Open(ctx.Input(1))
		if err != nil {
			return err
		}
		rows, err := frame.Read(ctx.Input(2))
		if err != nil {
			return err
		}
		return compareLengths(t, m, r, rows)
	}}
	if _, err := testmodel.NewRunner(t).Run(context.Background(), step.New(check, nil, base.All()[0].Base, set.Ref(), f.Ref())); err != nil {
		t.Fatal(err)
	}
}

func compareLengths(t *testing.T, m model.Model, r *data.Reader, rows *frame.Rows) error {
	if rows.Len() != r.Len() {
		t.Fatalf("%d rows of %d examples", rows.Len(), r.Len())
	}
	texts := 0
	for i := range r.Len() {
		ex := r.Example(i)
		if l := rows.Labels(i); l.Get("system") == "" || l.Get("split") != ex.Split {
			t.Errorf("labels %s", l)
		}
		im, err := r.Image(i)
		if err != nil {
			return err
		}
		s, err := m.Encode(model.Input{Image: im, Prompt: ex.Ask("What is this?"), Target: ex.Caption})
		if err != nil {
			return err
		}
		if n := rows.Number(i, "caption_tokens"); n != float64(s.LossTokens()) {
			t.Errorf("%s: %v tokens of caption, want %d", ex.ID, n, s.LossTokens())
		}
		if n := rows.Number(i, "tokens"); n < float64(len(s.IDs)-4) || n > float64(len(s.IDs)) { // what surrounds the image
			t.Errorf("%s: %v tokens, want %d", ex.ID, n, len(s.IDs))
		}
		if image := rows.Number(i, "image_tokens"); (image > 0) != (im != nil) {
			t.Errorf("%s: %v tokens of image", ex.ID, image)
		} else if im == nil {
			texts++
		}
	}
	if texts != 1 {
		t.Errorf("%d examples of text alone, want 1", texts)
	}
	return nil
}
