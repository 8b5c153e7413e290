package encoders

import (
	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
)

// network is the tree of BERT, of RoBERTa, which differs in the first position only, of DeBERTa, which has another
// attention (deberta.go), and of BLEURT, whose tables may be narrower than its layers. N rows of all texts, C hidden, E
// embedding, F MLP, L labels.
type network struct {
	Embeddings embeddings `weight:"embeddings"`
	Encoder    encoder    `weight:"encoder"`
	Pooler     *pooler    `weight:"pooler"`
	Head       *nn.Linear `weight:"classifier"` // C -> L, of the pooled token; nil without one
}

type embeddings struct {
	Word     *nn.Embedding `weight:"word_embeddings"`       // (V, E)
	Position *nn.Embedding `weight:"position_embeddings"`   // (positions, E), nil without absolute positions
	Type     *nn.Embedding `weight:"token_type_embeddings"` // (types, E), nil without segments
	Norm     *nn.LayerNorm `weight:"LayerNorm"`
}

type encoder struct {
	In       *nn.Linear    `weight:"embedding_projection"` // E -> C, nil without one
	Distance *nn.Embedding `weight:"rel_embeddings"`       // (2·max, C) of DeBERTa, else nil
	Layers   []*layer      `weight:"layer"`
}

// pooler is nil where the checkpoint has none.
type pooler struct {
	Dense *nn.Linear `weight:"dense"` // C -> C
}

type layer struct {
	Query  *nn.Linear    `weight:"attention.self.query"` // these three nil where Self is not
	Key    *nn.Linear    `weight:"attention.self.key"`
	Value  *nn.Linear    `weight:"attention.self.value"`
	Self   *disentangled `weight:"attention.self"` // of DeBERTa, else nil
	Out    *nn.Linear    `weight:"attention.output.dense"`
	Norm1  *nn.LayerNorm `weight:"attention.output.LayerNorm"`
	Up     *nn.Linear    `weight:"intermediate.dense"` // C -> F
	Down   *nn.Linear    `weight:"output.dense"`       // F -> C
	Norm2  *nn.LayerNorm `weight:"output.LayerNorm"`
	heads  int
	active nn.Activation
}

// newNetwork makes a tree with or without a pooler, and with a head of so many labels, if any.
func newNetwork(c Config, pooled bool, labels int) *network {
	act, err := nn.FindActivation("hidden_act", c.HiddenAct)
	if err != nil {
		panic(err) // c was checked
	}
	n := &network{Embeddings: embeddings{
		Word: nn.NewEmbedding(c.VocabSize, c.tables()),
		Norm: nn.NewLayerNorm(c.tables(), c.LayerNormEps),
	}}
	if c.ModelType != "deberta" || c.PositionBiasedInput {
		n.Embeddings.Position = nn.NewEmbedding(c.MaxPositionEmbeddings, c.tables())
	}
	if c.TypeVocabSize > 0 {
		n.Embeddings.Type = nn.NewEmbedding(c.TypeVocabSize, c.tables())
	}
	if c.ModelType == "deberta" && c.RelativeAttention {
		n.Encoder.Distance = nn.NewEmbedding(2*c.reach(), c.HiddenSize)
	}
	if c.ModelType == "bleurt" && c.EmbeddingSize > 0 {
		n.Encoder.In = nn.NewLinear(c.EmbeddingSize, c.HiddenSize, true)
	}
	square := func() *nn.Linear { return nn.NewLinear(c.HiddenSize, c.HiddenSize, true) }
	for range c.NumHiddenLayers {
		l := &layer{
			Out: square(), Norm1: nn.NewLayerNorm(c.HiddenSize, c.LayerNormEps),
			Up: nn.NewLinear(c.HiddenSize, c.IntermediateSize, true), Down: nn.NewLinear(c.IntermediateSize, c.HiddenSize, true),
			Norm2: nn.NewLayerNorm(c.HiddenSize, c.LayerNormEps), heads: c.NumAttentionHeads, active: act,
		}
		if c.ModelType == "deberta" {
			l.Self = newDisentangled(c)
		} else {
			l.Query, l.Key, l.Value = square(), square(), square()
		}
		n.Encoder.Layers = append(n.Encoder.Layers, l)
	}
	if pooled {
		n.Pooler = &pooler{square()}
	}
	if labels > 0 {
		n.Head = nn.NewLinear(c.HiddenSize, labels, true)
	}
	return n
}

// hidden is the hidden state after depth layers, (N, C). starts are the cumulative lengths of the texts.
func (n *network) hidden(tape *tensor.Tape, ids, types, positions []int32, starts []int, depth int) *tensor.Tensor {
	e := n.Embeddings
	x := e.Word.Forward(tape, ids) // (N, E)
	if e.Type != nil {
		x = ops.Add(x, e.Type.Forward(tape, types)) // (N, E)
	}
	if e.Position != nil {
		x = ops.Add(x, e.Position.Forward(tape, positions)) // (N, E)
	}
	x = e.Norm.Forward(x) // (N, E)
	if n.Encoder.In != nil {
		x = n.Encoder.In.Forward(x) // (N, C)
	}
	rel := n.distances(tape, starts)
	return nn.Stack(depth, false, nil, func(i int, xs ...*tensor.Tensor) *tensor.Tensor {
		return n.Encoder.Layers[i].forward(xs[0], starts, rel)
	}, x)
}

// forward is a layer; rel are the rows of distances, nil but for DeBERTa.
func (l *layer) forward(x *tensor.Tensor, starts []int, rel *tensor.Tensor) *tensor.Tensor {
	y := l.attend(x, starts, rel)                                                 // (N, C)
	x = l.Norm1.Forward(ops.Add(l.Out.Forward(y), x))                             // (N, C)
	return l.Norm2.Forward(ops.Add(l.Down.Forward(l.active(l.Up.Forward(x))), x)) // (N, C)
}

func (l *layer) attend(x *tensor.Tensor, starts []int, rel *tensor.Tensor) *tensor.Tensor {
	if l.Self != nil {
		return l.Self.forward(x, starts, rel, l.heads) // (N, C)
	}
	rows, c := x.Dim(0), x.Dim(1)
	q := l.Query.Forward(x).Reshape(rows, l.heads, c/l.heads)                    // (N, H, D)
	k := l.Key.Forward(x).Reshape(rows, l.heads, c/l.heads)                      // (N, H, D)
	v := l.Value.Forward(x).Reshape(rows, l.heads, c/l.heads)                    // (N, H, D)
	y := ops.Attention(q, k, v, ops.Segments{QStart: starts}, ops.AttnOptions{}) // (N, H, D)
	return y.Reshape(rows, c)
}
