// Package moondream is MoonDream2 (vikhyatk/moondream2), as the official code of github.com/vikhyat/moondream computes it:
// a SigLIP vision tower, a two-layer projector and a Phi-1.5 decoder.
//
// It knows three forms of the published revisions, which it tells from the configuration, the weights and the tokenizer,
// or takes from the tag under which the Hugging Face cache has the checkpoint:
//
//	2024-04-02, -05-08            the whole image as one view of 378 x 378
//	2024-05-20, -07-23, -08-26    beside it 1 x 2, 2 x 1 or 2 x 2 tiles; features of both side by side
//	2025-01-09 to -06-21          overlapping crops instead, bidirectional attention over BOS and image, templates of tokens
//
// It does not know the revisions of March 2024, quantised weights, the region model (detection, pointing, grounding: its
// tensors are passed over and kept), reasoning, where checkpoints are found (package models), training or adapters.
package moondream

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/decoder"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/weights"
)

// Family is MoonDream2's line in the table of families.
func Family() model.Family {
	return model.Family{
		Name: "moondream", Architectures: []string{Architecture2024, Architecture2025}, ModelType: "moondream1",
		New: New, Open: Open, Init: Init, Check: Check, Tiny: Tiny,
	}
}

// Model is a MoonDream2, with or without weights.
type Model struct {
	model.Tree
	cfg  *Config
	net  *network
	proc *processor // nil in a model built from its configuration alone
	dir  string     // the checkpoint, "" likewise

	region []safetensors.Tensor // of the file, not run here, for Save
}

var _ model.Model = (*Model)(nil)

// build gives the model a module tree without weights.
func (m *Model) build() {
	m.net = newNetwork(m.cfg)
	m.Tree = model.Tree{Root: m.net.tree, Head: m.net.text.head, Tower: tower, Names: m.cfg.names()}
}

// New builds a model from its config.json alone: to count, to match adapters' targets, to estimate. A "text_config"
// without a revision is taken for one of the revisions with tiles.
func New(config []byte) (model.Model, error) {
	c, err := ReadConfig(config)
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	m := &Model{cfg: c}
	m.build()
	return m, nil
}

// Open loads the checkpoint in dir on the context's device. The files stay mapped for as long as the process lives.
func Open(ctx context.Context, dir string) (model.Model, error) {
	a, err := weights.Open(dir)
	if err != nil {
		return nil, err
	}
	m, err := open(dir, a)
	if err != nil {
		return nil, err
	}
	if err := model.LoadWeights(ctx, a, nn.Params(m.net.tree), m.Names); err != nil {
		return nil, err
	}
	for _, stored := range a.Names() {
		if isRegion(m.Names.Canonical(stored)) {
			info, _ := a.Info(stored)
			m.region = append(m.region, safetensors.Tensor{Name: stored, DType: info.DType, Shape: info.Shape, Data: func() []byte { return a.Bytes(stored) }})
		}
	}
	return m, nil
}

// Check holds the weights in dir against its configuration and the tokenizer's files, reading headers only.
func Check(dir string) error {
	a, err := weights.Open(dir)
	if err != nil {
		return err
	}
	m, err := open(dir, a)
	if err != nil {
		return errors.Join(err, a.Close())
	}
	return errors.Join(model.CheckWeights(a, nn.Params(m.net.tree), m.Names), a.Close())
}

// Init makes the model that the configuration and tokenizer files in dir describe, with weights drawn as the official
// code draws a new decoder's, in f32. dir needs no weights.
func Init(ctx context.Context, dir string, seed uint64) (model.Model, error) {
	m, err := open(dir, nil)
	if err != nil {
		return nil, err
	}
	nn.Randomize(ops.From(ctx), nn.Params(m.net.tree), seed, m.cfg.Text.InitializerRange)
	return m, nil
}

// open reads everything but the weights, of which the names and shapes help to tell the revision; a may be nil.
func open(dir string, a *safetensors.Archive) (*Model, error) {
	f, err := checkpoint.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("moondream: %w", err)
	}
	c, err := ReadConfig(f.Config)
	if err != nil {
		return nil, fmt.Errorf("moondream: %s: %w", filepath.Join(dir, "config.json"), err)
	}
	if err := c.settle(f, a); err != nil {
		return nil, fmt.Errorf("moondream: %s: %w", dir, err)
	}
	p, err := newProcessor(c, f)
	if err != nil {
		return nil, fmt.Errorf("moondream: %w", err)
	}
	m := &Model{cfg: c, proc: p, dir: dir}
	m.build()
	return m, nil
}

// Info describes the model.
func (m *Model) Info() model.Info {
	architecture, size := Architecture2024, [2]int{512, 512}
	switch m.cfg.Form {
	case Single:
		size = [2]int{m.cfg.Vision.CropSize, m.cfg.Vision.CropSize}
	case Overlap:
		architecture = Architecture2025
	}
	i := model.Info{
		Family: "moondream", Architecture: architecture, Checkpoint: m.dir,
		Hidden: m.cfg.Text.HiddenSize, Vocab: m.cfg.Text.VocabSize, VisionHidden: m.cfg.Vision.features(m.cfg.Form),
		ImageTokens: m.cfg.Vision.patches(), ImageSize: size, Context: m.cfg.Text.MaxPositionEmbeddings,
		DType: checkpoint.DType(m.cfg.raw),
	}
	if m.proc != nil {
		i.EOS, i.Preprocessing = []int32{m.proc.eos}, m.cfg.preprocessing()
		if m.cfg.Form == Overlap && m.cfg.Tokens.Answer >= 0 {
			i.Barred = []int32{m.cfg.Tokens.Answer}
		}
	}
	return i
}

// Vision runs the vision tower on all views of the samples' images: one row per patch of the whole image, its features
// and, where the revision cuts tiles, theirs beside.
func (m *Model) Vision(samples []*model.Sample, tape *tensor.Tape) *tensor.Tensor {
	var grids []Grid
	views := 0
	for _, s := range samples {
		if s.Images > 0 {
			grids = append(grids, s.Extra.(Grid))
			views += s.Extra.(Grid).views()
		}
	}
	if views == 0 {
		return nil
	}
	size := m.cfg.Vision.CropSize
	x := m.net.vision.views(model.Pixels(m.Device(), tape, samples, views, 3, size, size)) // (B*P, E)
	if m.cfg.Form == Single {
		return x
	}
	return m.net.vision.features(x, grids) // (images*P, 2E)
}

// Hidden returns the decoder's last hidden states.
func (m *Model) Hidden(b *model.Batch) *tensor.Tensor {
	s := &decoder.Sequences{Tail: b.Tail}
	var ids []int32
	var images []int32 // rows that image features replace
	patches := m.cfg.Vision.patches()
	for _, sample := range b.Samples {
		prefix := 0
		if sample.Images > 0 {
			first := min(1, len(sample.IDs)-patches) // behind BOS
			for i := range patches {
				images = append(images, int32(len(ids)+first+i))
			}
			prefix = first + patches
		}
		if m.cfg.Form == Overlap {
			s.Prefix = append(s.Prefix, prefix)
		}
		ids = append(ids, sample.IDs...)
		s.Lens = append(s.Lens, len(sample.IDs))
	}
	for _, t := range b.Tokens {
		ids = append(ids, t...)
		s.Lens = append(s.Lens, len(t))
	}
	for _, kv := range b.KV {
		s.KV = append(s.KV, kv.(cache).KV)
	}
	x := m.net.text.embed.Forward(b.Tape, ids) // (N, C)
	if len(images) > 0 {
		features := b.Features
		if features == nil {
			features = m.Vision(b.Samples, b.Tape)
		} else if b.Tape != nil && features.Tape() == nil {
			features = b.Tape.Track(features)
		}
		x = ops.PutRows(x, images, m.net.vision.project.forward(features, m.net.vision.act)) // (N, C)
	}
	return m.net.text.forward(x, s, b.Checkpoint)
}

// Logits applies the LM head.
func (m *Model) Logits(hidden *tensor.Tensor) *tensor.Tensor { return m.net.text.head.Forward(hidden) }

// cache adapts the decoder's cache to model.KV.
type cache struct{ *decoder.KV }

func (c cache) Clone(capacity int) model.KV { return cache{c.KV.Clone(capacity)} }
func (c cache) CopyFrom(src model.KV)       { c.KV.CopyFrom(src.(cache).KV) }

// NewKV makes an empty cache.
func (m *Model) NewKV(capacity int) model.KV {
	t := &m.cfg.Text
	return cache{decoder.NewKV(m.Device(), decoder.Shape{Layers: t.NumHiddenLayers, Heads: t.NumKeyValueHeads, D: t.headDim()}, capacity)}
}

// Share returns a model with the same weight tensors and empty adapter slots.
func (m *Model) Share() model.Model {
	out := *m
	out.build()
	model.CopyWeights(nn.Params(out.net.tree), nn.Params(m.net.tree), nil)
	return &out
}

// Trainable returns a copy with f32 tensors of its own.
func (m *Model) Trainable() model.Model {
	out := *m
	out.build()
	model.CopyWeights(nn.Params(out.net.tree), nn.Params(m.net.tree), ops.Copy)
	return &out
}
