package encoders

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
)

// DeBERTa (He et al., 2021), version 1: BERT whose attention also weighs the distance of two tokens. The distances that a
// text of T tokens knows are −(T−1) … T−1, those beyond the table's reach as its ends; their rows are projected to keys and
// queries by each layer (ops.Disentangled).

// disentangledConfig is what a deberta configuration has beyond a bert one.
type disentangledConfig struct {
	RelativeAttention    bool        `json:"relative_attention"`
	PosAttType           attentionOf `json:"pos_att_type"`
	MaxRelativePositions int         `json:"max_relative_positions"` // below 1: max_position_embeddings
	PositionBiasedInput  bool        `json:"position_biased_input"`  // absolute positions are added to the input
}

// debertaDefaults are transformers'.
var debertaDefaults = disentangledConfig{MaxRelativePositions: -1, PositionBiasedInput: true}

// longestRelative bounds a text that no table of positions bounds: attention takes 4 bytes for each pair of its tokens.
const longestRelative = 4096

// attentionOf lists the added terms: "c2p", what the query's content says of a distance, and "p2c", what the key's does.
// A configuration has them as a list or joined by bars.
type attentionOf []string

// UnmarshalJSON reads either form.
func (a *attentionOf) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return json.Unmarshal(raw, (*[]string)(a))
	}
	*a = nil
	if s == "" {
		return nil
	}
	for _, x := range strings.Split(strings.ToLower(s), "|") {
		*a = append(*a, strings.TrimSpace(x))
	}
	return nil
}

func (a attentionOf) has(s string) bool { return slices.Contains(a, s) }

// reach is the number of distances to each side that have rows of their own.
func (c *Config) reach() int {
	if c.MaxRelativePositions < 1 {
		return c.MaxPositionEmbeddings
	}
	return c.MaxRelativePositions
}

// checkDisentangled reports what this package has no code for: other terms, and keys that change the architecture.
func (c *Config) checkDisentangled(raw []byte) error {
	seen := map[string]bool{}
	for _, x := range c.PosAttType {
		if x != "c2p" && x != "p2c" || seen[x] {
			return fmt.Errorf("pos_att_type has %q; want c2p, p2c or both, each once", x)
		}
		seen[x] = true
	}
	if c.EmbeddingSize != 0 && c.EmbeddingSize != c.HiddenSize {
		return fmt.Errorf("embedding_size is %d; want hidden_size, %d, for a deberta", c.EmbeddingSize, c.HiddenSize)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return err
	}
	for _, only := range [][2]string{
		{"talking_head", "false"}, {"share_att_key", "false"}, {"position_buckets", "-1"}, {"conv_kernel_size", "0"}, {"norm_rel_ebd", `"none"`},
		{"attention_head_size", fmt.Sprint(c.HiddenSize / c.NumAttentionHeads)},
	} {
		if got, ok := keys[only[0]]; ok && string(got) != only[1] && string(got) != "null" {
			return fmt.Errorf("%s is %s; only %s is known for a deberta", only[0], got, only[1])
		}
	}
	return nil
}

// disentangled is DeBERTa's attention.
type disentangled struct {
	In            *nn.Linear `weight:"in_proj"`    // C -> H*3*D, without bias: query, key and value of each head side by side
	QBias         *nn.Param  `weight:"q_bias"`     // (H*D)
	VBias         *nn.Param  `weight:"v_bias"`     // (H*D)
	DistanceKey   *nn.Linear `weight:"pos_proj"`   // C -> H*D without bias, nil without c2p
	DistanceQuery *nn.Linear `weight:"pos_q_proj"` // C -> H*D, nil without p2c

	bias  *tensor.Tensor // (H*3*D): QBias, 0 and VBias in the order of In
	terms int            // of pos_att_type, which the scale counts even without relative_attention
}

func newDisentangled(c Config) *disentangled {
	n := c.HiddenSize
	a := &disentangled{In: nn.NewLinear(n, 3*n, false), QBias: nn.NewParam(nn.InitZeros, n), VBias: nn.NewParam(nn.InitZeros, n), terms: len(c.PosAttType)}
	if c.RelativeAttention && c.PosAttType.has("c2p") {
		a.DistanceKey = nn.NewLinear(n, n, false)
	}
	if c.RelativeAttention && c.PosAttType.has("p2c") {
		a.DistanceQuery = nn.NewLinear(n, n, true)
	}
	return a
}

// join makes the bias of In from its two parts once they are loaded.
func (a *disentangled) join(dev *tensor.Device, heads int) {
	if a == nil {
		return
	}
	q, v := ops.Floats(a.QBias.T()), ops.Floats(a.VBias.T())
	d := len(q) / heads
	var all []float32
	for h := range heads {
		all = append(all, q[h*d:(h+1)*d]...)
		all = append(all, make([]float32, d)...)
		all = append(all, v[h*d:(h+1)*d]...)
	}
	a.bias = dev.FromFloats(all, len(all))
}

// distances is the rows of the table of distances that texts meet, from the greatest distance down, (2·T−1, C) for the
// longest text of T tokens; nil without such a table.
func (n *network) distances(tape *tensor.Tape, starts []int) *tensor.Tensor {
	if n.Encoder.Distance == nil {
		return nil
	}
	longest, reach := 1, n.Encoder.Distance.Weight.Shape[0]/2
	for s := 1; s < len(starts); s++ {
		longest = max(longest, starts[s]-starts[s-1])
	}
	rows := make([]int32, 2*longest-1)
	for j := range rows {
		rows[j] = int32(reach + min(max(longest-1-j, -reach), reach-1))
	}
	return n.Encoder.Distance.Forward(tape, rows) // (2T-1, C)
}

// forward is the attention of x (N, C) with the rows of distances rel, which may be nil.
func (a *disentangled) forward(x *tensor.Tensor, starts []int, rel *tensor.Tensor, heads int) *tensor.Tensor {
	rows, c := x.Dim(0), x.Dim(1)
	project := func(l *nn.Linear) *tensor.Tensor {
		if l == nil {
			return nil
		}
		return l.Forward(rel).Reshape(rel.Dim(0), heads, c/heads) // (2T-1, H, D)
	}
	qkv := ops.Linear(x, a.In.Weight.T(), a.bias).Reshape(rows, heads, 3, c/heads) // (N, H, 3, D)
	y := ops.Disentangled(qkv, project(a.DistanceKey), project(a.DistanceQuery), starts, a.scale(c/heads))
	return y.Reshape(rows, c) // (N, C)
}

// scale is 1/√(D·(1 + terms)).
func (a *disentangled) scale(d int) float32 {
	return float32(1 / math.Sqrt(float64(d*(1+a.terms))))
}
