// Package idefics3 is the Idefics3 family (Laurençon et al., 2024), of which the paper uses SmolVLM-500M (Marafioti et
// al., 2025): a SigLIP vision tower that reads an image as a grid of square views and once as a whole, a pixel shuffle
// with one projection, and a Llama decoder, as transformers/models/idefics3 computes it.
//
// It knows the configuration in both of its forms, how images become views and prompts become tokens, and how a
// checkpoint directory is written. It does not know where checkpoints are found (package models), training, decoding
// strategies or adapters. The "smolvlm" architecture of later checkpoints, with videos, is another one.
package idefics3

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

// Architecture is the name in a config.json's "architectures".
const Architecture = "Idefics3ForConditionalGeneration"

// Family is SmolVLM's line in the table of families.
func Family() model.Family {
	return model.Family{Name: "idefics3", Architectures: []string{Architecture}, ModelType: "idefics3", New: New, Plan: Plan, Open: Open, Init: Init, Check: Check, Tiny: Tiny}
}

// Model is an Idefics3, with or without weights.
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
	m.Tree = model.Tree{Root: m.net, Head: m.net.Head, Tower: towerOf, Names: names(m.cfg)}
}

// New builds a model from its config.json alone: to count, to match adapters'
// targets, to estimate.
func New(config []byte) (model.Model, error) {
	c, err := ReadConfig(config)
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	m := &Model{cfg: c}
	m.build()
	return m, nil
}

// Plan builds the model in dir without its weights: how images are cut is the processor's to say.
func Plan(dir string) (model.Model, error) {
	m, err := open(dir)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Open loads the checkpoint in dir on the context's device. The files stay
// mapped for as long as the process lives.
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

// Check holds the weights in dir against its configuration and the tokenizer
// and processor files against each other, reading headers only.
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

// Init makes the model that the configuration and tokenizer files in dir
// describe, with weights drawn as transformers draws them for a new model, in
// f32. dir needs no weights.
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
		return nil, fmt.Errorf("idefics3: %w", err)
	}
	c, err := ReadConfig(f.Config)
	if err != nil {
		return nil, fmt.Errorf("idefics3: %s: %w", filepath.Join(dir, "config.json"), err)
	}
	p, err := newProcessor(c, f)
	if err != nil {
		return nil, fmt.Errorf("idefics3: %w", err)
	}
	m := &Model{cfg: c, proc: p, dir: dir}
	m.build()
	return m, nil
}

// Info describes the model. A usual image is square: it takes the most views.
func (m *Model) Info() model.Info {
	const side = 512
	i := model.Info{
		Family: "idefics3", Architecture: Architecture, Checkpoint: m.dir,
		Hidden: m.cfg.Text.HiddenSize, Vocab: m.cfg.Text.VocabSize, VisionHidden: m.cfg.Vision.HiddenSize,
		ImageSize: [2]int{side, side}, Context: m.cfg.Text.MaxPositionEmbeddings,
		DType: checkpoint.DType(m.cfg.raw),
	}
	if l, err := m.images().layout(side, side); err == nil {
		i.ImageTokens = len(m.expanded(l, m.images().View.Longest))
	}
	if m.proc != nil {
		i.EOS, i.Preprocessing = m.proc.EOS, m.proc.images.settings()
	}
	return i
}

// Vision runs the vision tower on the samples' views.
func (m *Model) Vision(samples []*model.Sample, tape *tensor.Tape) *tensor.Tensor {
	return m.patches(samples, tape, false)
}

// patches is Vision, with its layers recomputed in the backward pass where checkpoint is set: an image has so many views
// that they cost more than the decoder.
func (m *Model) patches(samples []*model.Sample, tape *tensor.Tape, checkpoint bool) *tensor.Tensor {
	size, rows := views(samples)
	if rows == 0 {
		return nil
	}
	side := m.cfg.side(size)
	x := model.Pixels(m.Device(), tape, samples, rows/(side*side), 3, size, size) // (B, 3, S, S)
	return m.net.Model.Vision.forward(x, checkpoint)                              // (B*P, E)
}

// views are the size of all views of the samples and the number of their patches.
func views(samples []*model.Sample) (size, rows int) {
	for _, s := range samples {
		if s.Images > 0 {
			size, rows = s.Size[0], rows+s.Rows
		}
	}
	return size, rows
}

// Hidden returns the decoder's last hidden states.
func (m *Model) Hidden(b *model.Batch) *tensor.Tensor {
	s := &llama.Sequences{Tail: b.Tail, Checkpoint: b.Checkpoint}
	var ids []int32
	var images []int32 // rows that image features replace
	for _, sample := range b.Samples {
		for i, id := range sample.IDs {
			if sample.Images > 0 && id == int32(m.cfg.ImageTokenID) {
				images = append(images, int32(len(ids)+i))
			}
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
	x := m.net.Model.Language.Embed.Forward(b.Tape, ids) // (N, C)
	if len(images) > 0 {
		features := b.Features
		if features == nil {
			features = m.patches(b.Samples, b.Tape, b.Checkpoint)
		} else if b.Tape != nil && features.Tape() == nil {
			features = b.Tape.Track(features)
		}
		size, _ := views(b.Samples)
		x = ops.PutRows(x, images, m.net.Model.Connector.forward(features, m.cfg.side(size))) // (N, C)
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

// Save writes a Hugging Face checkpoint: config.json, model.safetensors, and the
// tokenizer's and processor's files as they came. A tied head is not written.
func (m *Model) Save(dir string, dt tensor.DType) error {
	return checkpoint.Save(dir, checkpoint.Saved{
		From: m.dir, Params: nn.Params(m.net), DType: dt,
		Config: func(dtype string) any {
			return checkpoint.Stored(m.cfg.raw, Architecture, "idefics3", dtype, "text_config", "vision_config")
		},
		More: map[string]func() any{
			// Without it transformers takes 169 tokens a view.
			"processor_config.json": func() any {
				return map[string]any{"processor_class": "Idefics3Processor", "image_seq_len": m.cfg.viewTokens(m.proc.images.View.Longest)}
			},
		},
	})
}
