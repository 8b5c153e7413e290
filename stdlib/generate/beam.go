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
// One image at a time: its beams, of all systems, are the batch.
func (w *writer) beams(ctx context.Context, seqs []*sequence) error {
	each := len(seqs) / len(systemsOf(w.members, seqs))
	for i := range each {
		var one []*sequence // the image's, of every system
		for j := i; j < len(seqs); j += each {
			one = append(one, seqs[j])
		}
		if err := w.beamSearch(ctx, one, len(one[0].sample.IDs)+w.o.MaxNewTokens); err != nil {
			return err
		}
	}
	return nil
}

// search is the search for one caption.
type search struct {
	*sequence
	running, ended []beam
	kvs, spare     []model.KV // kvs are those of running
}

// beamSearch writes one caption for each system with caches that hold room tokens.
func (w *writer) beamSearch(ctx context.Context, seqs []*sequence, room int) error {
	b := w.prompts(seqs, systemsOf(w.members, seqs), room-len(seqs[0].sample.IDs))
	var going []*search
	for _, s := range seqs {
		x := &search{sequence: s, running: []beam{{}}, kvs: []model.KV{s.kv}, spare: make([]model.KV, w.o.Beams)}
		s.kv = nil
		for range w.o.Beams {
			x.ended = append(x.ended, beam{score: never})
		}
		going = append(going, x)
	}
	defer func() {
		for _, x := range going {
			x.free()
		}
	}()
	info := w.m.Info()
	for length := 1; ; length++ {
		if err := ctx.Err(); err != nil {
			b.Tape.Release()
			return err
		}
		hidden := w.m.Logits(w.m.Hidden(b)) // (beams of all, V)
		logits, vocab := ops.Floats(hidden), hidden.Dim(-1)
		b.Tape.Release()
		if length > 1 {
			bar(logits, vocab, info.Barred)
		}
		left := going[:0:0]
		for _, x := range going {
			n := len(x.running) * vocab
			if x.step(logits[:n], w.o, info.EOS, length) {
				x.free()
			} else {
				left = append(left, x)
			}
			logits = logits[n:]
		}
		if going = left; len(going) == 0 {
			return nil
		}
		b = w.lastTokens(going, room)
	}
}

// lastTokens is the batch of the running beams' last tokens, each with the cache of the beam that it continues.
func (w *writer) lastTokens(going []*search, room int) *model.Batch {
	b := &model.Batch{Tape: tensor.NewScratch()}
	rows := make([]int, len(w.members))
	for _, x := range going {
		x.kvs, x.spare = reorder(x.kvs, x.spare, x.running, room)
		for i, r := range x.running {
			b.Tokens = append(b.Tokens, r.tokens[len(r.tokens)-1:])
			b.KV = append(b.KV, x.kvs[i])
		}
		rows[x.who] += len(x.running)
	}
	w.members.Share(rows...)
	return b
}

// step continues the running beams by a token, given their logits, and tells whether the caption is found: it is then in out.
func (x *search) step(logits []float32, o Options, eos []int32, length int) (found bool) {
	k := o.Beams
	top := continuations(logits, x.running, max(2, 1+len(eos))*k)
	all := true // every candidate ends here
	for i := range top {
		last := top[i].tokens[len(top[i].tokens)-1]
		top[i].finished = length == o.MaxNewTokens || slices.Contains(eos, last)
		all = all && top[i].finished
	}
	x.ended = merge(x.ended, top[:min(k, len(top))], length, o.LengthPower)
	x.running = goOn(top, k)
	if !all && promising(x.running, x.ended, length, o.LengthPower) {
		return false
	}
	x.out = x.ended[0].tokens
	if n := len(x.out); n > 0 && slices.Contains(eos, x.out[n-1]) {
		x.out = x.out[:n-1]
	}
	return true
}

// free hands back all caches.
func (x *search) free() {
	for _, kv := range slices.Concat(x.kvs, x.spare) {
		if kv != nil {
			kv.Free()
		}
	}
	x.kvs, x.spare = nil, nil
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
