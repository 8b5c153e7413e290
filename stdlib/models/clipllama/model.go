package clipllama

import (
	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/llama"
)

// Model is a LLaVA of any version, with or without weights.
type Model struct {
	model.Tree
	Config *Config
	Net    *Network
	kind   *Kind
	layout Layout
	proc   *processor // nil in a model built from its configuration alone
	dir    string     // the checkpoint, "" likewise
}

var _ model.Model = (*Model)(nil)

// grow gives the model a module tree without weights.
func (m *Model) grow() {
	m.Net = NewNetwork(m.Config, m.kind.Newline)
	m.Tree = model.Tree{Root: m.Net, Head: m.Net.Head, Tower: tower, Names: names(m.Config)}
}

// Info describes the model.
func (m *Model) Info() model.Info {
	c, size := m.Config, m.kind.ImageSize
	if size == [2]int{} {
		size = [2]int{c.Vision.ImageSize, c.Vision.ImageSize}
	}
	i := model.Info{
		Family: m.kind.Name, Architecture: m.kind.Architecture, Checkpoint: m.dir,
		Hidden: c.Text.HiddenSize, Vocab: c.Text.VocabSize, VisionHidden: c.FeatureSize(),
		ImageSize: size, Context: c.Text.MaxPositionEmbeddings, DType: checkpoint.DType(c.Raw),
	}
	if p, err := m.layout(size[0], size[1]); err == nil {
		i.ImageTokens = m.tokens(p)
	}
	if m.proc != nil {
		i.EOS, i.Preprocessing = m.proc.EOS, m.proc.images.Settings()
	}
	return i
}

// tokens is the number of tokens of an image.
func (m *Model) tokens(p Place) int {
	if p.Rows == nil {
		return p.Views * m.Config.ViewRows()
	}
	return len(p.Rows)
}

// Vision runs the vision tower on the views of the samples' images.
func (m *Model) Vision(samples []*model.Sample, tape *tensor.Tape) *tensor.Tensor {
	size, views := m.Config.Vision.ImageSize, 0
	for _, s := range samples {
		views += len(s.Pixels) / (3 * size * size)
	}
	if views == 0 {
		return nil
	}
	x := model.Pixels(m.Device(), tape, samples, views, 3, size, size) // (B, 3, H, W)
	return m.Net.features(m.Config, x)                                 // (B*P, E)
}

// Hidden returns the decoder's last hidden states.
func (m *Model) Hidden(b *model.Batch) *tensor.Tensor {
	s := &llama.Sequences{Tail: b.Tail, Checkpoint: b.Checkpoint}
	var ids []int32
	var images []int32 // rows that image features replace
	for _, sample := range b.Samples {
		for i, id := range sample.IDs {
			if sample.Images > 0 && id == int32(m.Config.ImageTokenIndex) {
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
	x := m.Net.Model.Language.Embed.Forward(b.Tape, ids) // (N, C)
	if len(images) > 0 {
		features := b.Features
		if features == nil {
			features = m.Vision(b.Samples, b.Tape)
		} else if b.Tape != nil && features.Tape() == nil {
			features = b.Tape.Track(features)
		}
		x = ops.PutRows(x, images, m.pack(m.Net.Model.Projector.forward(features), b.Samples)) // (N, C)
	}
	return m.Net.Model.Language.Forward(x, s)
}

// pack picks of the projected rows (B*P, C) those that tokens show, newlines between them: (image tokens, C).
func (m *Model) pack(rows *tensor.Tensor, samples []*model.Sample) *tensor.Tensor {
	if !m.kind.Newline {
		return rows
	}
	var idx []int32
	first, newline := int32(0), int32(rows.Dim(0))
	for _, s := range samples {
		if s.Images == 0 {
			continue
		}
		for _, r := range s.Extra.(Place).Rows {
			if r == Newline {
				idx = append(idx, newline)
			} else {
				idx = append(idx, first+r)
			}
		}
		first += int32(s.Rows)
	}
	end := m.Net.Model.Newline.T().Reshape(1, m.Config.Text.HiddenSize) // (1, C)
	return ops.TakeRows(ops.ConcatRows(rows, end), idx)
}

// Logits applies the LM head.
func (m *Model) Logits(hidden *tensor.Tensor) *tensor.Tensor { return m.Net.Head.Forward(hidden) }

// cache adapts the decoder's cache to model.KV.
type cache struct{ *llama.KV }

func (c cache) Clone(capacity int) model.KV { return cache{c.KV.Clone(capacity)} }
func (c cache) CopyFrom(src model.KV)       { c.KV.CopyFrom(src.(cache).KV) }

// NewKV makes an empty cache.
func (m *Model) NewKV(capacity int) model.KV {
	return cache{m.Net.Model.Language.NewKV(m.Device(), capacity)}
}

// Share returns a model with the same weight tensors and empty adapter slots.
func (m *Model) Share() model.Model {
	out := *m
	out.grow()
	model.CopyWeights(nn.Params(out.Net), nn.Params(m.Net), nil)
	return &out
}

// Trainable returns a copy with f32 tensors of its own.
func (m *Model) Trainable() model.Model {
	out := *m
	out.grow()
	model.CopyWeights(nn.Params(out.Net), nn.Params(m.Net), ops.Copy)
	return &out
}
