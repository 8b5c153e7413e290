// Package llava is the LLaVA-1.5 family (Liu et al., 2023): a CLIP vision
// tower, a two-layer projector and a Llama decoder, as
// transformers/models/llava computes it.
//
// It knows the configuration in both of its forms, the four spellings of its
// weights, how images and prompts become tokens and pixels, and how a
// checkpoint directory is written. It does not know where checkpoints are found
// (package models), training, decoding strategies or adapters.
package llava

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/llama"
	"lightbox/stdlib/weights"
)

// Architecture is the name in a config.json's "architectures".
const Architecture = "LlavaForConditionalGeneration"

// Model is a LLaVA, with or without weights.
type Model struct {
	cfg  *Config
	net  *network
	proc *processor     // nil in a model built from its configuration alone
	dev  *tensor.Device // nil likewise
	dir  string         // the checkpoint, "" likewise
}

var _ model.Model = (*Model)(nil)

// New builds a model from its config.json alone: to count, to match adapters'
// targets, to estimate.
func New(config []byte) (model.Model, error) {
	c, err := ReadConfig(config)
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return &Model{cfg: c, net: newNetwork(c)}, nil
}

// Open loads the checkpoint in dir on the context's device. The files stay
// mapped for as long as the process lives.
func Open(ctx context.Context, dir string) (model.Model, error) {
	m, err := open(ctx, dir)
	if err != nil {
		return nil, err
	}
	a, err := weights.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := model.LoadWeights(m.dev, a, nn.Params(m.net), names(m.cfg)); err != nil {
		return nil, err
	}
	return m, nil
}

// Check holds the weights in dir against its configuration and the tokenizer
// and processor files against each other, reading headers only.
func Check(dir string) error {
	m, err := open(context.Background(), dir)
	if err != nil {
		return err
	}
	a, err := weights.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(model.CheckWeights(a, nn.Params(m.net), names(m.cfg)), a.Close())
}

// Init makes the model that the configuration and tokenizer files in dir
// describe, with weights drawn as transformers draws them for a new model, in
// f32. dir needs no weights.
func Init(ctx context.Context, dir string, seed uint64) (model.Model, error) {
	m, err := open(ctx, dir)
	if err != nil {
		return nil, err
	}
	nn.Randomize(m.dev, nn.Params(m.net), seed, m.cfg.Text.InitializerRange)
	return m, nil
}

// open reads everything but the weights.
func open(ctx context.Context, dir string) (*Model, error) {
	path := filepath.Join(dir, "config.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("llava: %w", err)
	}
	c, err := ReadConfig(raw)
	if err != nil {
		return nil, fmt.Errorf("llava: %s: %w", path, err)
	}
	p, err := newProcessor(c, dir)
	if err != nil {
		return nil, fmt.Errorf("llava: %w", err)
	}
	return &Model{cfg: c, net: newNetwork(c), proc: p, dev: ops.From(ctx), dir: dir}, nil
}

// Info describes the model.
func (m *Model) Info() model.Info {
	i := model.Info{
		Family: "llava", Architecture: Architecture, Checkpoint: m.dir,
		Hidden: m.cfg.Text.HiddenSize, Vocab: m.cfg.Text.VocabSize, VisionHidden: m.cfg.featureSize(),
		ImageTokens: m.cfg.imageTokens(), Context: m.cfg.Text.MaxPositionEmbeddings, EOS: m.cfg.EOS,
	}
	if m.proc != nil {
		i.EOS, i.Preprocessing = m.proc.eos, m.proc.settings()
	}
	return i
}

// Params lists the base parameters.
func (m *Model) Params() []model.Param {
	var out []model.Param
	for _, p := range nn.Params(m.net) {
		out = append(out, model.Param{Name: p.Name, Tower: tower(p.Name), Param: p.Param})
	}
	return out
}

// Slots lists every Linear.
func (m *Model) Slots() []model.Slot {
	var out []model.Slot
	for _, l := range nn.Linears(m.net) {
		out = append(out, model.Slot{Path: l.Path, Tower: tower(l.Path), Head: l.Linear == m.net.Head, Linear: l.Linear})
	}
	return out
}

// Modules lists the paths of all modules.
func (m *Model) Modules() []string { return nn.Modules(m.net) }

// Canonical turns any spelling of a name into the module tree's.
func (m *Model) Canonical(name string) string { return canonicalName(name) }

// Vision runs the vision tower on the samples' images.
func (m *Model) Vision(samples []*model.Sample, tape *tensor.Tape) *tensor.Tensor {
	var pixels []float32
	images := 0
	for _, s := range samples {
		pixels = append(pixels, s.Pixels...)
		images += s.Images
	}
	if images == 0 {
		return nil
	}
	size := m.cfg.Vision.ImageSize
	x := m.dev.FromFloats(pixels, images, 3, size, size) // (B, 3, H, W)
	if tape != nil {
		x = tape.Track(x)
	}
	return m.net.features(m.cfg, x) // (B*P, E)
}

// Hidden returns the decoder's last hidden states.
func (m *Model) Hidden(b *model.Batch) *tensor.Tensor {
	s := &llama.Sequences{Tail: b.Tail, Checkpoint: b.Checkpoint}
	var ids []int32
	var images []int32 // rows that image features replace
	for _, sample := range b.Samples {
		for i, id := range sample.IDs {
			if sample.Images > 0 && id == int32(m.cfg.ImageTokenIndex) {
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
			features = m.Vision(b.Samples, b.Tape)
		} else if b.Tape != nil && features.Tape() == nil {
			features = b.Tape.Track(features)
		}
		x = ops.PutRows(x, images, m.net.Model.Projector.forward(features)) // (N, C)
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
	return cache{m.net.Model.Language.NewKV(m.dev, capacity)}
}

// Share returns a model with the same weight tensors and empty adapter slots.
func (m *Model) Share() model.Model {
	out := *m
	out.net = newNetwork(m.cfg)
	model.CopyWeights(nn.Params(out.net), nn.Params(m.net), nil)
	return &out
}

// Trainable returns a copy with f32 tensors of its own.
func (m *Model) Trainable() model.Model {
	out := *m
	out.net = newNetwork(m.cfg)
	model.CopyWeights(nn.Params(out.net), nn.Params(m.net), func(t *tensor.Tensor) *tensor.Tensor {
		return m.dev.FromFloats(ops.Floats(t), t.Shape()...)
	})
	return &out
}
