package score

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/score/encoders"
)

const (
	// chunkTokens bounds the tokens that are encoded before their pairs are scored; no result depends on it.
	chunkTokens = 16384
	// heldBytes bounds the embeddings of texts that later chunks need again; beyond it they are encoded again.
	heldBytes = 1 << 30
)

// matcher scores pairs of texts by the greedy matching of their tokens.
type matcher struct {
	enc   *encoders.Encoder
	layer int
	ids   [][]int32 // tokens of the texts
	weigh func(id int32) float64
	kept  *keptPairs // nil: none

	chunk  int               // tokens of a chunk
	held   map[int][]float32 // normalised hidden states of texts, (tokens, C)
	budget int               // of held, in bytes
	uses   map[int][]int     // the chunks that need a text, ascending
}

// empty tells that a text has no tokens but its special ones.
func (m *matcher) empty(t int) bool { return len(m.ids[t]) == 2 }

// score gives one outcome for each pair, in an order in which texts are needed for a short while only.
func (m *matcher) score(ctx *step.Context, pairs []pair) ([]matched, error) {
	out := make([]matched, len(pairs)) // of an empty text: 0
	var todo []int
	for k, p := range pairs {
		if m.empty(p.ref) || m.empty(p.cap) {
			continue
		}
		if v, ok := m.kept.find(p); ok {
			out[k] = v
			continue
		}
		todo = append(todo, k)
	}
	chunks := m.plan(pairs, todo)
	done, total := int64(0), int64(0)
	for t := range m.uses {
		total += int64(len(m.ids[t]))
	}
	m.held = map[int][]float32{}
	for c, ks := range chunks {
		n, err := m.encode(ctx, pairs, ks, func(n int64) { ctx.Progress(min(done+n, total), total, "tokens encoded") })
		if err != nil {
			return nil, err
		}
		done += n
		for len(ks) > 0 { // all pairs of a reference at once
			n := 1
			for n < len(ks) && pairs[ks[n]].ref == pairs[ks[0]].ref {
				n++
			}
			m.match(ctx, pairs, ks[:n], out)
			ks = ks[n:]
		}
		m.kept.add(pairs, chunks[c], out)
		m.forget(c)
	}
	return out, nil
}

// plan cuts the pairs todo into chunks of about m.chunk tokens of different texts, and notes which chunks need a text.
func (m *matcher) plan(pairs []pair, todo []int) (chunks [][]int) {
	m.uses = map[int][]int{}
	tokens := 0
	for i, k := range todo {
		if i == 0 || tokens >= m.chunk {
			chunks, tokens = append(chunks, nil), 0
		}
		c := len(chunks) - 1
		chunks[c] = append(chunks[c], k)
		for _, t := range []int{pairs[k].ref, pairs[k].cap} {
			if u := m.uses[t]; len(u) == 0 || u[len(u)-1] != c {
				m.uses[t] = append(u, c)
				tokens += len(m.ids[t])
			}
		}
	}
	return chunks
}

// encode fills held with the texts of the pairs ks that it lacks, and tells how many tokens those had.
func (m *matcher) encode(ctx *step.Context, pairs []pair, ks []int, progress func(int64)) (int64, error) {
	var which []int
	var in []encoders.Text
	tokens, seen := int64(0), map[int]bool{}
	for _, k := range ks {
		for _, t := range []int{pairs[k].ref, pairs[k].cap} {
			if _, ok := m.held[t]; ok || seen[t] {
				continue
			}
			seen[t] = true
			which, in = append(which, t), append(in, encoders.Text{IDs: m.ids[t]})
			tokens += int64(len(m.ids[t]))
		}
	}
	states, err := m.enc.Hidden(ctx, in, m.layer, func(done, _ int64) { progress(done) })
	if err != nil {
		return 0, err
	}
	for i, t := range which {
		for row := range slices.Chunk(states[i], len(states[i])/len(m.ids[t])) {
			normalise(row)
		}
		m.held[t] = states[i]
	}
	return tokens, nil
}

// normalise gives a row the length 1.
func normalise(row []float32) {
	sum := 0.0
	for _, v := range row {
		sum += float64(v) * float64(v)
	}
	n := float32(math.Sqrt(sum))
	for i := range row {
		row[i] /= n
	}
}

// forget lets go of what no chunk behind c needs, and, beyond the budget, of what is needed last.
func (m *matcher) forget(c int) {
	bytes := 0
	for t, h := range m.held {
		u := m.uses[t]
		for len(u) > 0 && u[0] <= c {
			u = u[1:]
		}
		if m.uses[t] = u; len(u) == 0 {
			delete(m.held, t)
		} else {
			bytes += 4 * len(h)
		}
	}
	if bytes <= m.budget {
		return
	}
	late := slices.SortedFunc(maps.Keys(m.held), func(a, b int) int { return cmp.Or(m.uses[b][0]-m.uses[a][0], b-a) })
	for _, t := range late {
		if bytes <= m.budget {
			return
		}
		bytes -= 4 * len(m.held[t])
		delete(m.held, t)
	}
}

// match scores the pairs ks, which have one reference.
func (m *matcher) match(ctx *step.Context, pairs []pair, ks []int, out []matched) {
	ref := pairs[ks[0]].ref
	n := len(m.ids[ref])
	width := len(m.held[ref]) / n
	var all []float32
	for _, k := range ks {
		all = append(all, m.held[pairs[k].cap]...)
	}
	dev := ops.From(ctx)
	tape := tensor.NewScratch()
	defer tape.Release()
	x := tape.Track(dev.FromFloats(all, len(all)/width, width))                   // (all captions' tokens, C)
	sims := ops.Floats(ops.Linear(x, dev.FromFloats(m.held[ref], n, width), nil)) // (all captions' tokens, n)
	for _, k := range ks {
		rows := len(m.ids[pairs[k].cap])
		out[k] = m.greedy(m.ids[pairs[k].cap], m.ids[ref], sims[:rows*n])
		sims = sims[rows*n:]
	}
}

// greedy takes for each token the most similar one of the other text; sims is (captions' tokens, reference's tokens).
func (m *matcher) greedy(caption, reference []int32, sims []float32) matched {
	n := len(reference)
	most := slices.Repeat([]float32{float32(math.Inf(-1))}, n)
	var sum, weight float64
	for i, id := range caption {
		row := sims[i*n : (i+1)*n]
		for j, v := range row {
			most[j] = max(most[j], v)
		}
		w := m.weigh(id)
		sum, weight = sum+w*float64(slices.Max(row)), weight+w
	}
	out := matched{p: sum / weight}
	sum, weight = 0, 0
	for j, id := range reference {
		w := m.weigh(id)
		sum, weight = sum+w*float64(most[j]), weight+w
	}
	out.r = sum / weight
	return out
}
