package score

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"lightbox/stdlib/frame"
	"lightbox/stdlib/score/encoders"
	"lightbox/stdlib/text"
)

// run scores every row. Distinct pairs are scored once, distinct texts encoded once.
func (b bertscore) run(in *input, path string) ([][]float64, error) {
	enc, err := encoders.Open(in.ctx, path)
	if err != nil {
		return nil, err
	}
	layer := b.Layer
	if most := enc.Config.NumHiddenLayers; in.ctx.Rehearse {
		layer = min(layer, most)
	} else if layer > most {
		return nil, fmt.Errorf("layer %d; %s has %d (num_hidden_layers)", layer, path, most)
	}
	c, err := b.cutter(enc)
	if err != nil {
		return nil, err
	}
	m, pairs, where, err := b.matcher(in, enc, c)
	if err != nil {
		return nil, err
	}
	m.layer = layer
	if m.kept, err = b.keep(in.ctx, path, c, m); err != nil {
		in.ctx.Logf("pairs are scored without a cache: %v", err)
	}
	scores, err := m.score(in.ctx, pairs)
	if err != nil {
		return nil, err
	}
	return b.values(in, scores, where), nil
}

// matcher prepares the captions and cuts them into tokens: what scores pairs, the distinct pairs, and each row's among them.
func (b bertscore) matcher(in *input, enc *encoders.Encoder, c *cutter) (m *matcher, pairs []pair, where []int, err error) {
	prepare := text.Prepare
	if b.Raw {
		prepare = func(s string) string { return s }
	}
	texts, at := distinct(slices.Concat(in.refs, in.caps))
	m = &matcher{enc: enc, ids: make([][]int32, len(texts)), weigh: c.plain, budget: heldBytes, chunk: chunkTokens}
	for i, s := range texts {
		if i%1024 == 0 && in.ctx.Err() != nil {
			return nil, nil, nil, in.ctx.Err()
		}
		m.ids[i] = c.cut(prepare(s))
	}
	refs, caps := at[:len(in.refs)], at[len(in.refs):]
	if !b.NoIDF {
		m.weigh = idf(m.ids, documents(in.rows, refs))
	}
	pairs, where = distinctPairs(refs, caps)
	return m, pairs, where, nil
}

// values are the columns of the rows, where[i] being the pair of row i.
func (b bertscore) values(in *input, scores []matched, where []int) [][]float64 {
	out := make([][]float64, len(parts))
	for p := range parts {
		out[p] = make([]float64, len(where))
		base := b.Baseline.of(Part(p))
		for i, k := range where {
			out[p][i] = (scores[k].part(Part(p)) - base) / (1 - base)
			if !b.Raw && in.refs[i] == "" && in.caps[i] == "" {
				out[p][i] = 1
			}
		}
	}
	return out
}

// cutter makes tokens of texts as bert_score does.
type cutter struct {
	enc      *encoders.Encoder
	most     int // tokens of a text
	space    bool
	cls, sep int32
}

func (b bertscore) cutter(enc *encoders.Encoder) (*cutter, error) {
	c := &cutter{enc: enc, most: enc.Config.Longest(), space: enc.Config.ModelType == "roberta" && !b.NoPrefixSpace}
	if enc.Most > 0 {
		c.most = min(c.most, enc.Most)
	}
	for role, id := range map[string]*int32{"cls_token": &c.cls, "sep_token": &c.sep} {
		var ok bool
		if *id, ok = enc.Tok.Special(role); !ok {
			return nil, fmt.Errorf("%s: the tokenizer has no %s (tokenizer_config.json or special_tokens_map.json say which it is)", enc.Tok.Path(), role)
		}
	}
	if c.most < 3 {
		return nil, fmt.Errorf("%s: %d tokens leave no room for a word between %s and %s", enc.Tok.Path(), c.most, enc.Tok.TokenString(c.cls), enc.Tok.TokenString(c.sep))
	}
	return c, nil
}

// cut is the ids of a text with its special tokens, at most c.most of them; two of nothing but white space.
func (c *cutter) cut(s string) []int32 {
	s = strings.TrimFunc(s, pythonSpace)
	if c.space && s != "" {
		s = " " + s
	}
	ids := c.enc.Tok.Encode(s, false)
	ids = ids[:min(len(ids), c.most-2)]
	return slices.Concat([]int32{c.cls}, ids, []int32{c.sep})
}

// pythonSpace is what Python's str.strip removes.
func pythonSpace(r rune) bool { return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f }

// plain weighs every token 1 but the special ones.
func (c *cutter) plain(id int32) float64 {
	if id == c.cls || id == c.sep {
		return 0
	}
	return 1
}

// documents are the references that idf counts, as text numbers: each as often as the one system has it that has it most
// often, an image's reference being its own. So they are the references of a test set, whatever systems were run on it.
func documents(rows *frame.Rows, refs []int) []int {
	type key struct {
		id  string
		ref int
	}
	counts, most := map[string]map[key]int{}, map[key]int{}
	var order []key
	named := rows.Has(frame.ID)
	for i, ref := range refs {
		k := key{ref: ref}
		if named {
			k.id = rows.String(i, frame.ID)
		}
		system := rows.Labels(i).String()
		if counts[system] == nil {
			counts[system] = map[key]int{}
		}
		counts[system][k]++
		if n := counts[system][k]; n > most[k] {
			if n == 1 {
				order = append(order, k)
			}
			most[k] = n
		}
	}
	var out []int
	for _, k := range order {
		for range most[k] {
			out = append(out, k.ref)
		}
	}
	return out
}

// idf is ln((N+1)/(df+1)) over N documents, df of them with the token.
func idf(ids [][]int32, documents []int) func(id int32) float64 {
	df := map[int32]int{}
	for _, d := range documents {
		seen := map[int32]bool{}
		for _, id := range ids[d] {
			if !seen[id] {
				seen[id] = true
				df[id]++
			}
		}
	}
	n := float64(len(documents) + 1)
	return func(id int32) float64 { return math.Log(n / float64(df[id]+1)) }
}

// pair is a reference and a caption as text numbers.
type pair struct{ ref, cap int }

// distinctPairs lists every pair once, by reference, and where each row's stands in that list.
func distinctPairs(refs, caps []int) (pairs []pair, where []int) {
	seen := map[pair]bool{}
	for i, ref := range refs {
		if p := (pair{ref, caps[i]}); !seen[p] {
			seen[p] = true
			pairs = append(pairs, p)
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if a.ref != b.ref {
			return a.ref - b.ref
		}
		return a.cap - b.cap
	})
	index := map[pair]int{}
	for k, p := range pairs {
		index[p] = k
	}
	where = make([]int, len(refs))
	for i, ref := range refs {
		where[i] = index[pair{ref, caps[i]}]
	}
	return pairs, where
}

// matched is the outcome of a pair: precision and recall, NaN where all tokens of the text weigh nothing.
type matched struct{ p, r float64 }

func (m matched) part(p Part) float64 {
	switch p {
	case Precision:
		return m.p
	case Recall:
		return m.r
	}
	if f := 2 * m.p * m.r / (m.p + m.r); f == f {
		return f
	}
	return 0
}
