// Package visiongpt2 is the VisionGPT2 family, a baseline of the paper: a ViT encoder and a GPT-2 decoder that attends to
// it in every layer, as transformers/models/vision_encoder_decoder computes it.
//
// It knows the configuration, both spellings of the weights, how images become pixels, and that a caption begins with the
// decoder's start token. It does not know where checkpoints are found (package models), training, decoding strategies or
// adapters. Dropout, which transformers applies while training GPT-2, is left out.
//
// The decoder has no chat template. A prompt stands before the caption, as text that it continues; an empty one leaves
// the start token alone. A caption without an image is an error: the decoder always attends to one.
package visiongpt2

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
const Architecture = "VisionEncoderDecoderModel"

// Family is VisionGPT2's line in the table of families.
func Family() model.Family {
	return model.Family{Name: "visiongpt2", Architectures: []string{Architecture}, ModelType: "vision-encoder-decoder", New: New, Open: Open, Init: Init, Check: Check, Tiny: Tiny}
}

// Model is a VisionGPT2, with or without weights.
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
	m.Tree = model.Tree{Root: m.net, Head: m.net.Decoder.Head, Tower: tower, Names: names(m.cfg)}
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
	if err := model.LoadWeights(ctx, a, nn.Params(m.net), m.Names); err != nil {
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
	return errors.Join(model.CheckWeights(a, nn.Params(m.net), m.Names), a.Close())
}

// Init makes the model that the files in dir describe, with weights drawn as transformers draws them for a new model.
func Init(ctx context.Context, dir string, seed uint64) (model.Model, error) {
	m, err := open(dir)
	if err != nil {
		return nil, err
	}
	nn.Randomize(ops.From(ctx), nn.Params(m.net), seed, m.cfg.Decoder.InitializerRange)
	return m, nil
}

// open reads everything but the weights.
func open(dir string) (*Model, error) {
	f, err := checkpoint.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("visiongpt2: %w", err)
	}
	c, err := ReadConfig(f.Config)
	if err != nil {
		return nil, fmt.Errorf("visiongpt2: %s: %w", filepath.Join(dir, "config.json"), err)
	}
	p, err := newProcessor(c, f)
	if err != nil {
		return nil, fmt.Errorf("visiongpt2: %w", err)
	}
	m := &Model{cfg: c, proc: p, dir: dir}
	m.build()
	return m, nil
}

// Info describes the model. An image takes no token: the decoder attends to it.
func (m *Model) Info() model.Info {
	size := m.cfg.Encoder.ImageSize
	i := model.Info{
		Family: "visiongpt2", Architecture: Architecture, Checkpoint: m.dir,
		Hidden: m.cfg.Decoder.HiddenSize, Vocab: m.cfg.Decoder.VocabSize, VisionHidden: m.cfg.Encoder.HiddenSize,
		ImageSize: [2]int{size, size}, Context: m.cfg.Decoder.Positions, DType: checkpoint.DType(m.cfg.raw),
	}
	if m.proc != nil {
		i.EOS, i.Preprocessing = m.proc.EOS, m.proc.settings()
	}
	return i
}

// Vision runs the encoder on the samples' images: (B*(P+1), encoder C).
func (m *Model) Vision(samples []*model.Sample, tape *tensor.Tape) *tensor.Tensor {
	images := 0
	for _, s := range samples {
		images += s.Images
	}
	if images == 0 {
		return nil
	}
	size := m.cfg.Encoder.ImageSize
	return m.net.Encoder.Forward(model.Pixels(m.Device(), tape, samples, images, 3, size, size))
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
	t := &m.net.Decoder.Transformer
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
		features = m.Vision(b.Samples, b.Tape)
	} else if b.Tape != nil && features.Tape() == nil {
		features = b.Tape.Track(features)
	}
	if m.net.Project != nil {
		features = m.net.Project.Forward(features)
	}
	return features
}

// Logits applies the LM head.
func (m *Model) Logits(hidden *tensor.Tensor) *tensor.Tensor {
	return m.net.Decoder.Head.Forward(hidden)
}

// cache adapts the decoder's cache to model.KV.
type cache struct{ *decoder.KV }

func (c cache) Clone(capacity int) model.KV { return cache{c.KV.Clone(capacity)} }
func (c cache) CopyFrom(src model.KV)       { c.KV.CopyFrom(src.(cache).KV) }

// NewKV makes an empty cache.
func (m *Model) NewKV(capacity int) model.KV {
	d := &m.cfg.Decoder
	shape := decoder.Shape{Layers: d.NumHiddenLayers, Heads: d.NumAttentionHeads, D: d.HiddenSize / d.NumAttentionHeads}
	return cache{decoder.NewKV(m.Device(), shape, capacity)}
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

// Save writes a Hugging Face checkpoint under the names of published ones. A tied head is not written.
func (m *Model) Save(dir string, dt tensor.DType) error {
	return checkpoint.Save(dir, checkpoint.Saved{
		From: m.dir, Params: nn.Params(m.net), Name: hubName, DType: dt,
		Config: func(dtype string) any {
			return checkpoint.Stored(m.cfg.raw, Architecture, "vision-encoder-decoder", dtype, "encoder", "decoder")
		},
	})
}
