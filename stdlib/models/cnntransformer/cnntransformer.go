// Package cnntransformer is the CNN-Transformer family, a baseline of the paper: a DenseNet encoder like CheXNet's
// (Rajpurkar et al., 2017), whose last feature map is the memory of a Transformer decoder (Vaswani et al., 2017).
//
// Nobody has published a checkpoint, so the layout is this package's: config.json with torchvision's and PyTorch's
// argument names, weights named as torchvision's densenet121 ("encoder.features…") and PyTorch's nn.TransformerDecoder
// ("decoder.layers…") name them. It does not know where checkpoints are found (package models), training, decoding
// strategies or adapters. There is no dropout.
//
// A prompt stands before the caption, as text that it continues; an empty one leaves the start token alone. A caption
// without an image is an error. While the encoder trains (Batch.Training) its batch normalisation takes the batch's
// statistics, so that results then depend on the batch, as PyTorch's do.
package cnntransformer

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
	"lightbox/stdlib/weights"
)

// Architecture is the name in a config.json's "architectures".
const Architecture = "CNNTransformerForCaptioning"

// Family is the CNN-Transformer's line in the table of families.
func Family() model.Family {
	return model.Family{Name: "cnntransformer", Architectures: []string{Architecture}, ModelType: "cnn-transformer", New: New, Open: Open, Init: Init, Check: Check, Tiny: Tiny}
}

// Model is a CNN-Transformer, with or without weights.
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

// New builds a model from its config.json alone.
func New(config []byte) (model.Model, error) {
	c, err := ReadConfig(config)
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	m := &Model{cfg: c}
	m.build()
	return m, nil
}

// Open loads the checkpoint in dir on the context's device.
func Open(ctx context.Context, dir string) (model.Model, error) {
	m, err := open(dir)
	if err != nil {
		return nil, err
	}
	a, err := weights.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := model.LoadWeights(ctx, a, nn.State(m.net), m.Names); err != nil {
		return nil, err
	}
	return m, nil
}

// Check holds the weights in dir against its configuration and the other files against each other, reading headers only.
func Check(dir string) error {
	m, err := open(dir)
	if err != nil {
		return err
	}
	a, err := weights.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(model.CheckWeights(a, nn.State(m.net), m.Names), a.Close())
}

// Init makes the model that the files in dir describe, with random weights: convolutions as torchvision draws them, the
// rest normal with initializer_range.
func Init(ctx context.Context, dir string, seed uint64) (model.Model, error) {
	m, err := open(dir)
	if err != nil {
		return nil, err
	}
	nn.Randomize(ops.From(ctx), nn.State(m.net), seed, m.cfg.Decoder.InitializerStd)
	return m, nil
}

// open reads everything but the weights.
func open(dir string) (*Model, error) {
	f, err := checkpoint.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("cnntransformer: %w", err)
	}
	c, err := ReadConfig(f.Config)
	if err != nil {
		return nil, fmt.Errorf("cnntransformer: %s: %w", filepath.Join(dir, "config.json"), err)
	}
	p, err := newProcessor(c, f)
	if err != nil {
		return nil, fmt.Errorf("cnntransformer: %w", err)
	}
	m := &Model{cfg: c, proc: p, dir: dir}
	m.build()
	return m, nil
}

// Info describes the model. An image takes no token: the decoder attends to it.
func (m *Model) Info() model.Info {
	size := m.cfg.Encoder.ImageSize
	i := model.Info{
		Family: "cnntransformer", Architecture: Architecture, Checkpoint: m.dir,
		Hidden: m.cfg.Decoder.DModel, Vocab: m.cfg.Decoder.VocabSize, VisionHidden: m.net.Project.In(),
		ImageSize: [2]int{size, size}, Context: m.cfg.Decoder.MaxPositions, DType: checkpoint.DType(m.cfg.raw),
	}
	if m.proc != nil {
		i.EOS, i.Preprocessing = m.proc.EOS, m.proc.settings()
	}
	return i
}

// Vision runs the encoder on the samples' images, in evaluation mode: (B*P, E).
func (m *Model) Vision(samples []*model.Sample, tape *tensor.Tape) *tensor.Tensor {
	return m.vision(samples, tape, false)
}

func (m *Model) vision(samples []*model.Sample, tape *tensor.Tape, training bool) *tensor.Tensor {
	images := 0
	for _, s := range samples {
		images += s.Images
	}
	if images == 0 {
		return nil
	}
	size := m.cfg.Encoder.ImageSize
	return m.net.features(model.Pixels(m.Device(), tape, samples, images, 3, size, size), training)
}

// Hidden returns the decoder's last hidden states.
func (m *Model) Hidden(b *model.Batch) *tensor.Tensor {
	s := &decoder.Sequences{Tail: b.Tail}
	var ids []int32
	for _, sample := range b.Samples {
		ids = append(ids, sample.IDs...)
		s.Lens, s.Memory = append(s.Lens, len(sample.IDs)), append(s.Memory, sample.Rows)
	}
	for _, t := range b.Tokens {
		ids = append(ids, t...)
		s.Lens = append(s.Lens, len(t))
	}
	for _, kv := range b.KV {
		s.KV = append(s.KV, kv.(cache).KV)
	}
	lay := decoder.NewLayout(s)
	t := &m.net.Decoder
	x := ops.Add(t.Embed.Forward(b.Tape, ids), t.Position.Forward(b.Tape, lay.Pos)) // (N, C)
	return t.forward(x, m.memory(b), lay, b.Checkpoint && b.KV == nil)
}

// memory is what the decoder attends to: (sum Rows, C); nil for a batch whose caches hold what is made of it.
func (m *Model) memory(b *model.Batch) *tensor.Tensor {
	if len(b.Samples) == 0 {
		return nil
	}
	features := b.Features
	if features == nil {
		features = m.vision(b.Samples, b.Tape, b.Training)
	} else if b.Tape != nil && features.Tape() == nil {
		features = b.Tape.Track(features)
	}
	return m.net.Project.Forward(features)
}

// Logits applies the head.
func (m *Model) Logits(hidden *tensor.Tensor) *tensor.Tensor { return m.net.Head.Forward(hidden) }

// cache adapts the decoder's cache to model.KV.
type cache struct{ *decoder.KV }

func (c cache) Clone(capacity int) model.KV { return cache{c.KV.Clone(capacity)} }
func (c cache) CopyFrom(src model.KV)       { c.KV.CopyFrom(src.(cache).KV) }

// NewKV makes an empty cache.
func (m *Model) NewKV(capacity int) model.KV {
	d := &m.cfg.Decoder
	return cache{decoder.NewKV(m.Device(), decoder.Shape{Layers: d.NumLayers, Heads: d.NHead, D: d.DModel / d.NHead}, capacity)}
}

// Share returns a model with the same weight tensors and empty adapter slots.
func (m *Model) Share() model.Model {
	out := *m
	out.build()
	model.CopyWeights(nn.State(out.net), nn.State(m.net), nil)
	return &out
}

// Trainable returns a copy with f32 tensors of its own, running statistics included.
func (m *Model) Trainable() model.Model {
	out := *m
	out.build()
	model.CopyWeights(nn.State(out.net), nn.State(m.net), ops.Copy)
	return &out
}

// Save writes a checkpoint directory. A tied head is not written.
func (m *Model) Save(dir string, dt tensor.DType) error {
	return checkpoint.Save(dir, checkpoint.Saved{
		From: m.dir, Params: nn.State(m.net), DType: dt,
		Config: func(dtype string) any { return checkpoint.Stored(m.cfg.raw, Architecture, "cnn-transformer", dtype) },
	})
}
