// Package idefics is the IDEFICS family (Laurençon et al., 2023), an open Flamingo: a CLIP image encoder, a perceiver that
// makes a few latents of each image, and a Llama decoder with gated cross-attention to them, as
// transformers/models/idefics computes it.
//
// It knows the configuration nested and flat, which tokens see which image, how images and prompts become tokens and
// pixels, and how a checkpoint directory is written. It does not know where checkpoints are found (package models),
// training, decoding strategies or adapters. An example has at most one image, although what tells who sees which image
// holds for any number.
package idefics

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/llama"
	"lightbox/stdlib/weights"
)

// Architecture is the name in a config.json's "architectures".
const Architecture = "IdeficsForVisionText2Text"

// Family is IDEFICS' line in the table of families.
func Family() model.Family {
	return model.Family{Name: "idefics", Architectures: []string{Architecture}, ModelType: "idefics", New: New, Open: Open, Init: Init, Check: Check, Tiny: Tiny}
}

// Model is an IDEFICS, with or without weights.
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
		return nil, fmt.Errorf("idefics: %w", err)
	}
	c, err := ReadConfig(f.Config)
	if err != nil {
		return nil, fmt.Errorf("idefics: %s: %w", filepath.Join(dir, "config.json"), err)
	}
	p, err := newProcessor(c, f)
	if err != nil {
		return nil, fmt.Errorf("idefics: %w", err)
	}
	m := &Model{cfg: c, proc: p, dir: dir}
	m.build()
	return m, nil
}

// Info describes the model.
func (m *Model) Info() model.Info {
	size := m.cfg.Vision.ImageSize
	i := model.Info{
		Family: "idefics", Architecture: Architecture, Checkpoint: m.dir,
		Hidden: m.cfg.Text.HiddenSize, Vocab: m.cfg.vocabulary(), VisionHidden: m.cfg.Vision.HiddenSize,
		ImageTokens: imageTokens, ImageSize: [2]int{size, size}, Context: m.cfg.Text.MaxPositionEmbeddings,
		DType: checkpoint.DType(m.cfg.raw),
	}
	if m.proc != nil {
		i.EOS, i.Preprocessing = slices.Clone(m.proc.EOS), m.proc.settings()
	}
	return i
}

// images is the number of images of samples.
func images(samples []*model.Sample) int {
	n := 0
	for _, s := range samples {
		n += s.Images
	}
	return n
}

// Vision runs the image encoder on the samples' images: (B*P, E), the class token first in each image.
func (m *Model) Vision(samples []*model.Sample, tape *tensor.Tape) *tensor.Tensor {
	n := images(samples)
	if n == 0 {
		return nil
	}
	size := m.cfg.Vision.ImageSize
	x := model.Pixels(m.Device(), tape, samples, n, 3, size, size)                    // (B, 3, H, W)
	return m.net.Model.Vision.HiddenStates(x, []int{m.cfg.Vision.NumHiddenLayers})[0] // (B*P, E)
}

// Hidden returns the decoder's last hidden states.
func (m *Model) Hidden(b *model.Batch) *tensor.Tensor {
	p := newPass(b, m.imageToken(), m.endToken(), m.cfg.attended())
	s := &llama.Sequences{Tail: b.Tail, Checkpoint: b.Checkpoint}
	var ids []int32
	for _, sample := range b.Samples {
		ids = append(ids, sample.IDs...)
		s.Lens = append(s.Lens, len(sample.IDs))
	}
	for _, t := range b.Tokens {
		ids = append(ids, t...)
		s.Lens = append(s.Lens, len(t))
	}
	for _, c := range p.caches {
		s.KV = append(s.KV, c.KV)
	}
	x := m.net.Model.embed(b.Tape, ids) // (N, C)
	var memory *tensor.Tensor           // (M, E)
	if n := images(b.Samples); n > 0 {
		features := b.Features
		if features == nil {
			features = m.Vision(b.Samples, b.Tape)
		} else if b.Tape != nil && features.Tape() == nil {
			features = b.Tape.Track(features)
		}
		memory = m.net.Model.connect(features, n)
	}
	h := m.net.Model.forward(m.cfg, x, memory, p, s)
	p.done()
	return h
}

// imageToken is the id that brings an image; that of published checkpoints where there is no tokenizer.
func (m *Model) imageToken() int32 {
	if m.proc != nil {
		return m.proc.image
	}
	return int32(m.cfg.Text.VocabSize + 1)
}

// endToken is the id after which no image is seen.
func (m *Model) endToken() int32 {
	if m.proc != nil {
		return m.proc.end
	}
	return m.cfg.end
}

// Logits applies both parts of the LM head.
func (m *Model) Logits(hidden *tensor.Tensor) *tensor.Tensor { return m.net.logits(hidden) }

// NewKV makes an empty cache.
func (m *Model) NewKV(capacity int) model.KV {
	return &cache{KV: m.net.Model.decoder.NewKV(m.Device(), capacity)}
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

// Save writes a Hugging Face checkpoint: config.json, model.safetensors, and the tokenizer's and processor's files as
// they came. A tied head is not written.
func (m *Model) Save(dir string, dt tensor.DType) error {
	return checkpoint.Save(dir, checkpoint.Saved{
		From: m.dir, Params: nn.Params(m.net), DType: dt,
		Config: func(dtype string) any { return m.cfg.stored(dtype) },
	})
}
