package generate

import (
	"context"
	"math"
	"slices"
	"sort"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
)

// never is the score of what cannot be chosen; transformers uses the same number.
const never = -1e9

// A beam is one beginning of a caption, or one that has ended.
type beam struct {
	tokens   []int32
	score    float32 // log-probability; of an ended one divided by length^LengthPower
	from     int     // index of the beam that it continues
	finished bool
}

// beams runs beam search as transformers 5 defines it (GenerationMixin._beam_search, early_stopping=False): at each step
// the best max(2, 1+|EOS|)·k continuations of k beams; of the best k those that end enter the list of finished ones, and
// the best k that do not end go on, until no running beam can beat the worst finished one. Scores are summed in float32.
// One image at a time: its beams are the batch.
func beams(ctx context.Context, m model.Model, o Options, seqs []*sequence) error {
	for _, s := range seqs {
		if err := beamSearch(ctx, m, o, s, len(s.sample.IDs)+o.MaxNewTokens); err != nil {
			return err
		}
	}
	return nil
}

// beamSearch writes one caption with caches that hold room tokens.
func beamSearch(ctx context.Context, m model.Model, o Options, s *sequence, room int) error {
	k := o.Beams
	eos := m.Info().EOS
	first := m.NewKV(room)
	b := &model.Batch{Samples: []*model.Sample{s.sample}, KV: []model.KV{first}, Tail: []int{1}, Tape: tensor.NewScratch()}
	running := []beam{{}}
	ended := make([]beam, k)
	for i := range ended {
		ended[i].score = never
	}
	kvs, spare := []model.KV{first}, make([]model.KV, k)
	defer func() {
		for _, kv := range slices.Concat(kvs, spare) {
			if kv != nil {
				kv.Free()
			}
		}
	}()
	for length := 1; ; length++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		logits := ops.Floats(m.Logits(m.Hidden(b))) // (beams, V)
		b.Tape.Release()
		if length > 1 {
			bar(logits, len(logits)/len(running), m.Info().Barred)
		}
		top := continuations(logits, running, max(2, 1+len(eos))*k)
		all := true // every candidate ends here
		for i := range top {
			last := top[i].tokens[len(top[i].tokens)-1]
			top[i].finished = length == o.MaxNewTokens || slices.Contains(eos, last)
			all = all && top[i].finished
		}
		ended = merge(ended, top[:min(k, len(top))], length, o.LengthPower)
		running = goOn(top, k)
		if all || !promising(running, ended, length, o.LengthPower) {
			break
		}
		kvs, spare = reorder(kvs, spare, running, room)
		b = &model.Batch{Tape: tensor.NewScratch()}
		for i, r := range running {
			b.Tokens = append(b.Tokens, r.tokens[len(r.tokens)-1:])
			b.KV = append(b.KV, kvs[i])
		}
	}
	s.out = ended[0].tokens
	if n := len(s.out); n > 0 && slices.Contains(eos, s.out[n-1]) {
		s.out = s.out[:n-1]
	}
	return nil
}

// continuations lists the n likeliest one-token continuations of all beams, best first, ties in order of beam and token.
func continuations(logits []float32, running []beam, n int) []beam {
	type candidate struct {
		score float32
		at    int // beam·vocab + token
	}
	vocab := len(logits) / len(running)
	best := make([]candidate, 0, n+1)
	for i, r := range running {
		x := logits[i*vocab : (i+1)*vocab]
		top, log := logSum(x)
		for token, v := range x {
			score := r.score + (v - top - log)
			if len(best) == n && !(score > best[n-1].score) {
				continue
			}
			k := len(best)
			for k > 0 && score > best[k-1].score {
				k--
			}
			best = slices.Insert(best, k, candidate{score, i*vocab + token})
			best = best[:min(n, len(best))]
		}
	}
	out := make([]beam, len(best))
	for i, c := range best {
		from := c.at / vocab
		tokens := append(slices.Clone(running[from].tokens), int32(c.at%vocab))
		out[i] = beam{tokens: tokens, score: c.score, from: from}
	}
	return out
}

// logSum gives the two numbers that log-softmax subtracts: the greatest element, and log Σ e^(x - greatest).
func logSum(x []float32) (top, log float32) {
	top = slices.Max(x)
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v - top))
	}
	return top, float32(math.Log(sum))
}

// merge puts those of the candidates that ended among the finished beams and keeps the best.
func merge(ended, candidates []beam, length int, power float64) []beam {
	k := len(ended)
	by := float32(math.Pow(float64(length), power))
	for _, c := range candidates {
		if c.finished {
			c.score /= by
			ended = append(ended, c)
		}
	}
	sort.SliceStable(ended, func(a, b int) bool { return ended[a].score > ended[b].score })
	return ended[:k]
}

// goOn is the best k candidates that have not ended.
func goOn(top []beam, k int) []beam {
	var out []beam
	for _, c := range top {
		if !c.finished && len(out) < k {
			out = append(out, c)
		}
	}
	return out
}

// promising tells whether a running beam could still beat the worst finished one; length is what the running ones have.
func promising(running, ended []beam, length int, power float64) bool {
	if len(running) == 0 {
		return false
	}
	worst := float32(never)
	if slices.IndexFunc(ended, func(b beam) bool { return !b.finished }) < 0 {
		worst = ended[len(ended)-1].score
	}
	return running[0].score/float32(math.Pow(float64(length), power)) > worst
}

// reorder gives every running beam the cache of the beam that it continues.
func reorder(kvs, spare []model.KV, running []beam, room int) (next, free []model.KV) {
	next = make([]model.KV, len(running))
	for i, r := range running {
		if spare[i] == nil {
			next[i] = kvs[r.from].Clone(room)
			continue
		}
		next[i] = spare[i]
		next[i].CopyFrom(kvs[r.from])
	}
	free = make([]model.KV, max(len(spare), len(kvs)))
	copy(free, kvs)
	return next, free
}
