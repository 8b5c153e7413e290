package model

import (
	"math"
	"slices"
)

// Look is data.Look.
type Look struct {
	Image         bool
	Width, Height int // 0, 0: not known
	Prompt        int // bytes; 0: the verb's
	Caption       int // bytes
}

// Shape is what an example asks of a model, for Typical.
type Shape struct {
	Width, Height int // of its image; 0, 0: none
	Text, Target  int // tokens of text, and how many of them are to be learnt
}

// Guesses of tokens from text that is not tokenised yet.
const (
	templateTokens = 16  // of the chat template
	bytesPerToken  = 3.5 // of English words in the vocabularies of published models
	usualCaption   = 120 // bytes of a caption
)

// words is the Shape of an example whose image and texts have these sizes in pixels and bytes.
func words(width, height, prompt, target int) Shape {
	s := Shape{Width: width, Height: height, Text: templateTokens + int(math.Ceil(float64(prompt)/bytesPerToken))}
	if target > 0 {
		s.Target = 1 + int(math.Ceil(float64(target)/bytesPerToken))
	}
	s.Text += s.Target
	return s
}

// Shapes are those of a set's examples at which data.Glimpse looked, or a usual one where nothing is known of the set.
// Where some have images, those without are left out: they take less of everything. prompt is the bytes of what the verb
// asks, with answers that they are learnt.
func Shapes(m Model, looks []Look, prompt int, answers bool) []Shape {
	size := m.Info().ImageSize
	images := len(looks) == 0 || slices.ContainsFunc(looks, func(l Look) bool { return l.Image })
	if len(looks) == 0 {
		looks = []Look{{Image: size[0] > 0, Caption: usualCaption}}
	}
	var out []Shape
	for _, l := range looks {
		if l.Image != images {
			continue
		}
		if l.Image && l.Width == 0 {
			l.Width, l.Height = size[0], size[1]
		}
		if l.Prompt == 0 {
			l.Prompt = prompt
		}
		if !answers {
			l.Caption = 0
		}
		out = append(out, words(l.Width, l.Height, l.Prompt, l.Caption))
	}
	return out
}

// Typical gives, of blank samples of the shapes, the one whose length is nearest to the mean, and the one that stands for
// the examples of the longest of so many batches of that size, drawn at random. Shapes that the model refuses are left
// out; the error is the first of them if no other is left.
func Typical(m Model, shapes []Shape, batch, batches int) (mean, longest *Sample, err error) {
	var samples []*Sample
	var sum, squares float64
	for _, s := range shapes {
		b, refused := m.Blank(s.Width, s.Height, s.Text, s.Target)
		if refused != nil {
			err = refused
			continue
		}
		samples = append(samples, b)
		l := length(b)
		sum += l
		squares += l * l
	}
	if len(samples) == 0 {
		return nil, nil, err
	}
	mu := sum / float64(len(samples))
	sd := math.Sqrt(max(0, squares/float64(len(samples))-mu*mu))
	extreme := math.Sqrt(2*math.Log(float64(max(1, batches)))) / math.Sqrt(float64(max(1, batch))) // of a normal distribution
	return nearest(samples, mu), nearest(samples, mu+extreme*sd), nil
}

// length is what a sample's memory and time grow with.
func length(s *Sample) float64 { return float64(len(s.IDs) + s.Rows) }

func nearest(samples []*Sample, l float64) *Sample {
	return slices.MinFunc(samples, func(a, b *Sample) int {
		da, db := math.Abs(length(a)-l), math.Abs(length(b)-l)
		switch {
		case da < db:
			return -1
		case da > db:
			return 1
		}
		return 0
	})
}
