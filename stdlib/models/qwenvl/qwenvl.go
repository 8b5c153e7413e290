// Package qwenvl is the families Qwen2-VL (Wang et al., 2024) and Qwen2.5-VL (Bai et al., 2025): a vision tower for
// images of any size, a merger of 2x2 patches, and a Qwen2 decoder whose positions have three axes, as
// transformers/models/qwen2_vl and qwen2_5_vl compute them. The two differ in the tower's blocks only.
//
// It knows the configuration in its flat and nested forms, the spellings of the weights, how images and prompts become
// tokens and pixels, and how a checkpoint directory is written. It does not know videos, which it refuses, where
// checkpoints are found (package models), training, decoding strategies or adapters.
//
// The rows of Vision are merged cells before the merger, one for each token, so that they can be cached while the merger
// (the connector) trains.
package qwenvl

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
	"lightbox/stdlib/nn/llama"
	"lightbox/stdlib/weights"
)

// versions are the two families: their names and types.
var versions = [2]model.Family{
	{Name: "qwen2_vl", Architectures: []string{"Qwen2VLForConditionalGeneration"}, ModelType: "qwen2_vl"},
	{Name: "qwen2_5_vl", Architectures: []string{"Qwen2_5_VLForConditionalGeneration"}, ModelType: "qwen2_5_vl"},
}

// Qwen2 is Qwen2-VL's line in the table of families.
func Qwen2() model.Family { return family(0) }

// Qwen25 is Qwen2.5-VL's line in the table of families.
func Qwen25() model.Family { return family(1) }

func family(version int) model.Family {
	f := versions[version]
	f.New, f.Plan, f.Open, f.Init, f.Check = New, Plan, Open, Init, Check
	f.Tiny = func(dir string) error { return tiny(dir, f) }
	return f
}

// Model is a Qwen2-VL or Qwen2.5-VL, with or without weights.
type Model struct {
	model.Tree
	cfg  *Config
	net  *network
	proc *processor // nil in a model built from its configuration alone
	dir  string     // the checkpoint, "" likewise
}

var _ model.Model = (*Model)(nil)

// build gives the model a module tree without weights.
func (m *Model) build() {
	m.net = newNetwork(m.cfg)
	m.Tree = model.Tree{Root: m.net, Head: m.net.Head, Tower: tower, Names: names(m.cfg)}
}

// New builds a model from its config.json alone: to count, to match adapters' targets, to estimate.
func New(config []byte) (model.Model, error) {
	c, err := ReadConfig(config)
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	m := &Model{cfg: c}
	m.build()
	return m, nil
}

// Plan builds the model in dir without its weights: how large images may be is the processor's to say.
func Plan(dir string) (model.Model, error) {
	m, err := open(dir)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Open loads the checkpoint in dir on the context's device. The files stay mapped for as long as the process lives.
func Open(ctx context.Context, dir string) (model.Model, error) {
	m, err := open(dir)
	if err != nil {
		return nil, err
	}
	a, err := weights.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := model.LoadWeights(ctx, a, nn.Params(m.net), m.Names); err != nil {
		return nil, err
	}
	return m, nil
}

// Check holds the weights in dir against its configuration and the tokenizer and processor files against each other,
// reading headers only.
func Check(dir string) error {
	m, err := open(dir)
	if err != nil {
		return err
	}
	a, err := weights.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(model.CheckWeights(a, nn.Params(m.net), m.Names), a.Close())
}

// Init makes the model that the configuration and tokenizer files in dir describe, with weights drawn as transformers
// draws them for a new model, in f32. dir needs no weights.
func Init(ctx context.Context, dir string, seed uint64) (model.Model, error) {
	m, err := open(dir)
	if err != nil {
		return nil, err
	}
	nn.Randomize(ops.From(ctx), nn.Params(m.net), seed, m.cfg.Text.InitializerRange)
	return m, nil
}

// open reads everything but the weights.
func open(dir string) (*Model, error) {
	f, err := checkpoint.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("qwenvl: %w", err)
	}
	c, err := ReadConfig(f.Config)
	if err != nil {
		return nil, fmt.Errorf("qwenvl: %s: %w", filepath.Join(dir, "config.json"), err)
	}
	p, err := newProcessor(c, f)
	if err != nil {
		return nil, fmt.Errorf("qwenvl: %w", err)
	}
	m := &Model{cfg: c, proc: p, dir: dir}
	m.build()
	return m, nil
}

// version is the family of the configuration.
func (c *Config) version() model.Family {
	if c.Vision.Gated {
		return versions[1]
	}
	return versions[0]
}

// Info describes the model. Its usual image is 512x512, which published settings turn into 18x18 tokens.
func (m *Model) Info() model.Info {
	v := m.cfg.version()
	i := model.Info{
		Family: v.Name, Architecture: v.Architectures[0], Checkpoint: m.dir,
		Hidden: m.cfg.Text.HiddenSize, Vocab: m.cfg.Text.VocabSize, VisionHidden: m.cfg.Vision.featureSize(),
		ImageSize: [2]int{512, 512}, Context: m.cfg.Text.MaxPositionEmbeddings, DType: checkpoint.DType(m.cfg.raw),
	}
	if g, err := m.images().grid(512, 512); err == nil { // an error only where do_resize is off
		i.ImageTokens = m.cfg.Vision.tokens(g)
	}
	if m.proc != nil {
		i.EOS, i.Preprocessing = m.proc.EOS, m.proc.image.settings()
	}
	return i
}

// images are the image settings, those of published checkpoints in a model built from its configuration alone.
func (m *Model) images() *imageProcessor {
	if m.proc != nil {
		return m.proc.image
	}
	return published(&m.cfg.Vision)
}

// Vision runs the vision tower on the samples' images.
func (m *Model) Vision(samples []*model.Sample, tape *tensor.Tape) *tensor.Tensor {
	return m.vision(samples, tape, false)
}

func (m *Model) vision(samples []*model.Sample, tape *tensor.Tape, checkpoint bool) *tensor.Tensor {
	var grids []grid
	patches := 0
	for _, s := range samples {
		if g, ok := s.Extra.(grid); ok {
			grids = append(grids, g)
			patches += g.H * g.W
		}
	}
	if len(grids) == 0 {
		return nil
	}
	v := &m.cfg.Vision
	x := model.Pixels(m.Device(), tape, samples, patches, v.InChannels*v.PatchSize*v.PatchSize) // (P, 3*patch*patch)
	return m.net.Model.Visual.features(x, grids, checkpoint)                                    // (P/M, M*E)
}

// Hidden returns the decoder's last hidden states. With b.Checkpoint the tower's blocks are recomputed too, where the
// backward pass goes through them: an image has four times as many patches as tokens.
func (m *Model) Hidden(b *model.Batch) *tensor.Tensor {
	s := &llama.Sequences{Tail: b.Tail, Checkpoint: b.Checkpoint}
	var ids []int32
	var images []int32 // rows that image features replace
	for _, sample := range b.Samples {
		g, _ := sample.Extra.(grid)
		for i, id := range sample.IDs {
			if sample.Images > 0 && id == int32(m.cfg.ImageTokenID) {
				images = append(images, int32(len(ids)+i))
			}
		}
		s.Pos = m.cfg.positions(s.Pos, sample.IDs, g)
		ids = append(ids, sample.IDs...)
		s.Lens = append(s.Lens, len(sample.IDs))
	}
	for _, t := range b.Tokens {
		s.Pos = m.cfg.positions(s.Pos, t, grid{})
		ids = append(ids, t...)
		s.Lens = append(s.Lens, len(t))
	}
	for _, kv := range b.KV {
		s.KV = append(s.KV, kv.(cache).KV)
	}
	x := m.net.Model.Language.Embed.Forward(b.Tape, ids) // (N, C)
	if len(images) > 0 {
		features := b.Features
		if features == nil {
			features = m.vision(b.Samples, b.Tape, b.Checkpoint && m.net.Model.Visual.trains())
		} else if b.Tape != nil && features.Tape() == nil {
			features = b.Tape.Track(features)
		}
		x = ops.PutRows(x, images, m.net.Model.Visual.Merger.forward(features)) // (N, C)
	}
	return m.net.Model.Language.Forward(x, s)
}

// Logits applies the LM head.
func (m *Model) Logits(hidden *tensor.Tensor) *tensor.Tensor { return m.net.Head.Forward(hidden) }

// cache adapts the decoder's cache to model.KV.
type cache struct{ *llama.KV }

func (c cache) Clone(capacity int) model.KV { return cache{c.KV.Clone(capacity)} }
func (c cache) CopyFrom(src model.KV)       { c.KV.CopyFrom(src.(cache).KV) }

// NewKV makes an empty cache.
func (m *Model) NewKV(capacity int) model.KV {
	return cache{m.net.Model.Language.NewKV(m.Device(), capacity)}
}

// Share returns a model with the same weight tensors and empty adapter slots.
func (m *Model) Share() model.Model {
	out := *m
	out.build()
	model.CopyWeights(nn.Params(out.net), nn.Params(m.net), nil)
	return &out
}

// Trainable returns a copy with f32 tensors of its own.
func (m *Model) Trainable() model.Model {
	out := *m
	out.build()
	model.CopyWeights(nn.Params(out.net), nn.Params(m.net), ops.Copy)
	return &out
}
