package model

import (
	"errors"
	"testing"
)

// lengths is a model whose samples are as long as asked, up to 1000 tokens.
type lengths struct{ Model }

func (lengths) Blank(width, height, text, target int) (*Sample, error) {
	if text > 1000 {
		return nil, errors.New("too long")
	}
	return &Sample{IDs: make([]int32, text), Rows: width}, nil
}

func TestTypical(t *testing.T) {
	var shapes []Shape
	for i := range 101 {
		shapes = append(shapes, Shape{Text: 100 + i})
	}
	shapes = append(shapes, Shape{Text: 2000})
	for _, c := range []struct{ batch, batches, mean, longest int }{
		{1, 1, 150, 150}, {1, 1 << 20, 150, 200}, {16, 100, 150, 172}, {64, 100, 150, 161}, // sd is 29.2; √(2 ln 100) is 3.03
	} {
		mean, longest, err := Typical(lengths{}, shapes, c.batch, c.batches)
		if err != nil || len(mean.IDs) != c.mean || len(longest.IDs) != c.longest {
			t.Errorf("%d batches of %d: mean %d, longest %d, %v; want %d, %d", c.batches, c.batch, len(mean.IDs), len(longest.IDs), err, c.mean, c.longest)
		}
	}
	if _, _, err := Typical(lengths{}, shapes[101:], 1, 1); err == nil {
		t.Error("no error where the model refuses every shape")
	}
	if got := words(64, 32, 19, 35); got != (Shape{64, 32, 16 + 6 + 11, 11}) {
		t.Errorf("got %+v", got)
	}
	if got := words(0, 0, 0, 0); got != (Shape{Text: 16}) {
		t.Errorf("got %+v", got)
	}
}
