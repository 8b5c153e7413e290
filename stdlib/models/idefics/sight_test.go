package idefics

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/safetensors"
)

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

// TestSight holds who sees which image against transformers', on random ids.
func TestSight(t *testing.T) {
	var golden struct {
		Of []struct {
			IDs, Sees []int32
			Images    int
		}
	}
	readJSON(t, "testdata/sight.json", &golden)
	blind := 0
	for _, g := range golden.Of {
		if got := sight(g.IDs, g.Images, 1, 2); !slices.Equal(got, g.Sees) {
			t.Errorf("%v with %d images: %v; want %v", g.IDs, g.Images, got, g.Sees)
		}
		if i := slices.Index(g.Sees, 0); i >= 0 && slices.Contains(g.Sees[i:], none) {
			blind++
		}
	}
	if len(golden.Of) < 40 || blind < 10 {
		t.Errorf("%d sequences, %d of which lose their image", len(golden.Of), blind)
	}
}

// two is a sequence of two images with an end between them, which no Input makes, and the logits that transformers gives.
func two(t *testing.T) (m *Model, s *model.Sample, at []int32, want []float32) {
	t.Helper()
	m = family.Load(t, "instruct").(*Model)
	var golden struct {
		Images  [][]int
		IDs, At []int32
	}
	readJSON(t, "testdata/two.json", &golden)
	s = &model.Sample{IDs: golden.IDs, Labels: slices.Repeat([]int32{model.Ignore}, len(golden.IDs)), Images: len(golden.Images)}
	for _, i := range golden.Images {
		one, err := m.Encode(model.Input{Image: modeltest.Picture(i)})
		if err != nil {
			t.Fatal(err)
		}
		s.Pixels = append(s.Pixels, one.Pixels...)
		s.Rows += one.Rows
	}
	a, err := safetensors.Open("testdata/two.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if want, err = a.Floats("logits"); err != nil {
		t.Fatal(err)
	}
	return m, s, golden.At, want
}

// TestTwoImages: the general rule, alone and behind a sequence that sees less, with the cache and without.
func TestTwoImages(t *testing.T) {
	m, s, at, want := two(t)
	h := m.Hidden(&model.Batch{Samples: []*model.Sample{s}})
	d := modeltest.Furthest(ops.Floats(m.Logits(ops.TakeRows(h, at))), want)
	t.Logf("logits within %.1e", d)
	if d > modeltest.Tolerance {
		t.Errorf("logits differ by %v", d)
	}
	g := modeltest.Read(t, "instruct")
	blind, one := modeltest.Encode(t, m, g.Examples[2], true), modeltest.Encode(t, m, g.Examples[0], true)
	n := len(blind.IDs) + len(one.IDs)
	kvs := []model.KV{m.NewKV(400), m.NewKV(400), m.NewKV(400)}
	all := m.Hidden(&model.Batch{Samples: []*model.Sample{blind, one, s}, KV: kvs})
	if !slices.Equal(ops.Floats(all.Rows(n, all.Dim(0))), ops.Floats(h)) {
		t.Error("hidden states depend on the batch")
	}
	// What follows sees the second image, the first one of its own sequence, and nothing.
	next := func(kv model.KV) []float32 {
		return ops.Floats(m.Hidden(&model.Batch{Tokens: [][]int32{{9, 8}}, KV: []model.KV{kv}}))
	}
	together := m.Hidden(&model.Batch{Tokens: [][]int32{{9, 8}, {9, 8}, {9, 8}}, KV: []model.KV{kvs[0].Clone(400), kvs[1].Clone(400), kvs[2].Clone(400)}})
	for i, of := range []*model.Sample{blind, one, s} {
		longer := *of
		longer.IDs = append(slices.Clone(of.IDs), 9, 8)
		whole := ops.Floats(m.Hidden(&model.Batch{Samples: []*model.Sample{&longer}, Tail: []int{2}}))
		if got := next(kvs[i]); !slices.Equal(got, whole) || !slices.Equal(ops.Floats(together.Rows(2*i, 2*i+2)), whole) {
			t.Errorf("%d: what follows differs with the cache", i)
		}
	}
}

// TestSightMutants: mistakes in who sees what move the logits of two images.
func TestSightMutants(t *testing.T) {
	m, s, at, want := two(t)
	const other = 7 // ends nothing
	for name, edit := range map[string]func(s *model.Sample){
		"an end does not end": func(*model.Sample) { m.proc.end = other },
		"the images exchanged": func(s *model.Sample) {
			s.Pixels = slices.Concat(s.Pixels[len(s.Pixels)/2:], s.Pixels[:len(s.Pixels)/2])
		},
		"the last image for all": func(s *model.Sample) {
			half := len(s.Pixels) / 2
			s.Pixels = slices.Concat(s.Pixels[half:], s.Pixels[half:])
		},
		"the second image unseen": func(s *model.Sample) {
			s.Images, s.Pixels, s.Rows = 1, s.Pixels[:len(s.Pixels)/2], s.Rows/2
		},
	} {
		end, changed := m.proc.end, *s
		edit(&changed)
		h := m.Hidden(&model.Batch{Samples: []*model.Sample{&changed}})
		d := modeltest.Furthest(ops.Floats(m.Logits(ops.TakeRows(h, at))), want)
		t.Logf("%s moves a logit by %.1e", name, d)
		if d <= modeltest.Tolerance {
			t.Errorf("%s moves logits by %v only", name, d)
		}
		m.proc.end = end
	}
}

// TestCaches: copies of a cache see the image when the cache that they came from is gone, a truncated one what its last
// token saw, and one that serves a second sequence nothing of the first.
func TestCaches(t *testing.T) {
	m, g := family.Load(t, "instruct").(*Model), modeltest.Read(t, "instruct")
	s, blind := modeltest.Encode(t, m, g.Examples[0], false), modeltest.Encode(t, m, g.Examples[2], false)
	n := len(s.IDs)
	fill := func(kv model.KV, s *model.Sample) model.KV {
		m.Hidden(&model.Batch{Samples: []*model.Sample{s}, KV: []model.KV{kv}, Tail: []int{1}})
		return kv
	}
	step := func(kv model.KV, ids ...int32) []float32 {
		return ops.Floats(m.Hidden(&model.Batch{Tokens: [][]int32{ids}, KV: []model.KV{kv}}))
	}
	kv := fill(m.NewKV(n+4), s)
	empty := m.NewKV(n + 4)
	// two blocks of 5 latents, five heads of eight numbers, keys and values
	if got, want := kv.Bytes()-empty.Bytes(), int64(2*5*40*2*4); got != want {
		t.Errorf("the image takes %d bytes of the cache; want %d", got, want)
	}
	clone := kv.Clone(n + 4)
	shared := kv.(*cache).memory
	if shared.refs != 2 {
		t.Errorf("%d caches hold the image; want 2", shared.refs)
	}
	want := step(kv, 7)
	kv.Free()
	empty.CopyFrom(clone)
	for _, c := range []model.KV{clone, empty} {
		if !slices.Equal(step(c, 7), want) {
			t.Error("a copy of the cache gives other hidden states")
		}
	}
	clone.Truncate(n)
	if !slices.Equal(step(clone, 7), want) {
		t.Error("a truncated cache gives other hidden states")
	}
	// Cut before the image: what follows does not see it, as where none came.
	image := slices.Index(s.IDs, m.proc.image)
	clone.Truncate(image)
	head := *s
	head.IDs, head.Images, head.Pixels, head.Rows = slices.Concat(s.IDs[:image], []int32{7}), 0, nil, 0
	if got, want := step(clone, 7), ops.Floats(m.Hidden(&model.Batch{Samples: []*model.Sample{&head}, Tail: []int{1}})); !slices.Equal(got, want) {
		t.Error("a cache cut before its image sees it still")
	}
	clone.Truncate(0)
	if got := step(fill(clone, blind), 7); !slices.Equal(got, step(fill(m.NewKV(n+4), blind), 7)) || clone.Bytes() != empty.Bytes()-2*5*40*2*4 {
		t.Error("a cache that is used again keeps an image")
	}
	other := m.NewKV(n + 4)
	clone.CopyFrom(other)
	for _, c := range []model.KV{clone, empty, other} {
		c.Free()
	}
	if shared.refs != 0 {
		t.Errorf("%d caches hold the image after all are free", shared.refs)
	}
}
