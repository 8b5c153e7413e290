package encoders

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/text/tokenizer"
	"lightbox/stdlib/weights"
)

// Encoder is a loaded checkpoint. It is safe for concurrent use.
type Encoder struct {
	Config Config
	Tok    *tokenizer.Tokenizer
	// Most is how many tokens its tokenizer leaves of a text (model_max_length), special ones included; 0: all.
	Most int
	dev  *tensor.Device
	net  *network
}

// Text is one sequence with its special tokens. Types are the tokens' segments; nil means 0.
type Text struct{ IDs, Types []int32 }

// batchTokens bounds the tokens of a batch; no result depends on it.
const batchTokens = 2048

// Open loads the checkpoint in dir. Heads of tasks and, where it is not whole, the pooler are left out.
func Open(ctx context.Context, dir string) (*Encoder, error) {
	path := filepath.Join(dir, "config.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	e := &Encoder{dev: ops.From(ctx)}
	if e.Config, err = ParseConfig(raw); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if e.Tok, err = tokenizer.Load(dir); err != nil {
		return nil, err
	}
	if int(e.Tok.MaxID()) >= e.Config.VocabSize {
		return nil, fmt.Errorf("%s: token id %d; config.json's vocab_size is %d: tokenizer of another model?", e.Tok.Path(), e.Tok.MaxID(), e.Config.VocabSize)
	}
	if e.Most, err = maxLength(dir); err != nil {
		return nil, err
	}
	a, err := weights.Open(dir)
	if err != nil {
		return nil, err
	}
	names := openSource(e.Config, a).names()
	pooled := e.Config.ModelType != "deberta" && slices.ContainsFunc(a.Names(), func(s string) bool { return names.Canonical(s) == "pooler.dense.weight" })
	e.net = newNetwork(e.Config, pooled, 0)
	if err := model.LoadWeights(ctx, a, nn.Params(e.net), names); err != nil {
		return nil, err
	}
	for _, l := range e.net.Encoder.Layers {
		l.Self.join(e.dev, l.heads)
	}
	return e, nil
}

// openSource is a plain checkpoint: names with the family's prefix or without, heads of tasks passed over.
func openSource(c Config, a *safetensors.Archive) Source {
	return Source{Config: c, Weights: a, Prefix: c.ModelType + ".", Ignore: []string{"cls.", "classifier.", "lm_head.", "qa_outputs.", "lm_predictions."}}
}

// Hidden gives each text's hidden state after layer layers (0: the embeddings), its rows one after another: (tokens, C).
// progress, unless nil, is told how many tokens of how many are done.
func (e *Encoder) Hidden(ctx context.Context, texts []Text, layer int, progress func(done, total int64)) ([][]float32, error) {
	if layer < 0 || layer > e.Config.NumHiddenLayers {
		return nil, fmt.Errorf("layer %d; the encoder has %d (num_hidden_layers)", layer, e.Config.NumHiddenLayers)
	}
	return e.run(ctx, texts, layer, progress, func(x *tensor.Tensor, starts []int) [][]float32 {
		c, all := x.Dim(1), ops.Floats(x)
		out := make([][]float32, len(starts)-1)
		for i := range out {
			out[i] = slices.Clone(all[starts[i]*c : starts[i+1]*c])
		}
		return out
	})
}

// Pooled gives each text's pooled first token, (C).
func (e *Encoder) Pooled(ctx context.Context, texts []Text, progress func(done, total int64)) ([][]float32, error) {
	if e.net.Pooler == nil {
		return nil, fmt.Errorf("the checkpoint has no pooler (pooler.dense.weight)")
	}
	return e.run(ctx, texts, e.Config.NumHiddenLayers, progress, func(x *tensor.Tensor, starts []int) [][]float32 {
		return rows(e.net.pooled(x, starts))
	})
}

// run encodes the texts, longest first, in batches bounded by tokens.
func (e *Encoder) run(ctx context.Context, texts []Text, layer int, progress func(done, total int64), read func(*tensor.Tensor, []int) [][]float32) ([][]float32, error) {
	order, total := make([]int, len(texts)), int64(0)
	for i, t := range texts {
		if err := e.check(t); err != nil {
			return nil, fmt.Errorf("text %d: %w", i+1, err)
		}
		order[i], total = i, total+int64(len(t.IDs))
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(texts[b].IDs), len(texts[a].IDs)) })
	out, done := make([][]float32, len(texts)), int64(0)
	for len(order) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := 1
		for tokens := len(texts[order[0]].IDs); n < len(order) && tokens+len(texts[order[n]].IDs) <= batchTokens; n++ {
			tokens += len(texts[order[n]].IDs)
		}
		done += e.batch(texts, order[:n], layer, out, read)
		order = order[n:]
		if progress != nil {
			progress(done, total)
		}
	}
	return out, nil
}

func (e *Encoder) check(t Text) error {
	switch n := len(t.IDs); {
	case n == 0:
		return fmt.Errorf("it has no tokens")
	case n > e.Config.Longest():
		return fmt.Errorf("it has %d tokens; the encoder takes %d", n, e.Config.Longest())
	case t.Types != nil && len(t.Types) != n:
		return fmt.Errorf("it has %d token types for %d tokens", len(t.Types), n)
	}
	return nil
}

// batch encodes some of the texts into out and tells how many tokens they have.
func (e *Encoder) batch(texts []Text, which []int, layer int, out [][]float32, read func(*tensor.Tensor, []int) [][]float32) int64 {
	var ids, types, positions []int32
	starts := []int{0}
	for _, i := range which {
		t := texts[i]
		ids = append(ids, t.IDs...)
		if t.Types != nil {
			types = append(types, t.Types...)
		} else {
			types = append(types, make([]int32, len(t.IDs))...)
		}
		positions = append(positions, e.Config.positions(t.IDs)...)
		starts = append(starts, len(ids))
	}
	tape := tensor.NewScratch()
	defer tape.Release()
	for k, h := range read(e.net.hidden(tape, ids, types, positions, starts, layer), starts) {
		out[which[k]] = h
	}
	return int64(len(ids))
}
