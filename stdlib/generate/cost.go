package generate

import (
	"context"
	"fmt"

	"lightbox/kernels/ops"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

// guess for the estimate of a plan, where the set is not read yet
const guessExamples = 100

// captionsCost takes it that captions use half of the tokens that they may. steps are systems of one base that write
// together. Whether they adapt the vision tower is not known yet: memory is reckoned as if they did, work as if not.
func captionsCost(steps []step.Step) step.Cost {
	s, systems := steps[0], len(steps)
	p := s.Params.(captionsParams)
	if p.Skeleton == nil || len(p.Options.check()) > 0 {
		return step.Cost{}
	}
	o := p.Options.filled()
	counts, exact := data.Count(s.In[len(s.In)-1])
	n, note := data.Total(counts), ""
	switch {
	case counts == nil:
		n, note = guessExamples, fmt.Sprintf("taking the set for %d examples", guessExamples)
	case !exact:
		note = fmt.Sprintf("up to %d examples", n)
	default:
		note = fmt.Sprintf("%d examples", n)
	}
	batch := max(1, min(o.BatchSize, n))
	var looks []model.Look
	for _, l := range data.Glimpse(s.In[len(s.In)-1], "") {
		looks = append(looks, model.Look(l))
	}
	u, err := model.Measured(fmt.Sprint(s.Op.Name, s.In[0].Key(), o.Beams, o.MaxNewTokens, o.Question, batch, n, looks, systems), func() (usage, error) {
		m, err := p.Skeleton()
		if err != nil {
			return usage{}, err
		}
		mean, longest, err := model.Typical(m, model.Shapes(m, looks, len(o.Question), false), batch, n/batch)
		if err != nil {
			return usage{}, err
		}
		u, err := measure(m, o, mean, batch, systems, false)
		if err == nil && (longest != mean || systems > 1) {
			var peak usage
			peak, err = measure(m, o, longest, batch, systems, systems > 1)
			u.Estimate = peak.Estimate
		}
		return u, err
	})
	if err != nil {
		return step.Cost{}
	}
	tokens := max(1, o.MaxNewTokens/2) // decoding's work grows evenly with what is cached
	flops := u.prefill + float64(tokens)*u.token + float64(tokens*(tokens-1)/2)*u.grows
	if systems > 1 {
		note += fmt.Sprintf(" for each of %d systems", systems)
	}
	c := step.Cost{FLOPs: float64(n*systems) * flops, Note: note, PeakBytes: u.Resident() + model.Host(int64(batch)*u.sample),
		ReadBytes: float64(n) / float64(u.seqs) * (u.readFirst + float64(tokens)*u.readToken)}
	for _, s := range steps {
		for _, a := range s.In[1 : len(s.In)-1] { // adapters, as large in memory as in their files
			if st := a.Step(); st.Op != nil && st.Op.Cost != nil {
				c.PeakBytes += st.Op.Cost(st).DiskBytes
			}
		}
	}
	return c
}

// usage is what writing captions takes. FLOPs are those of one example by one system.
type usage struct {
	model.Estimate
	prefill              float64 // the prompt and the first token
	token, grows         float64 // the second token, and what each later one takes more than the one before
	seqs                 int     // examples that are written at once
	readFirst, readToken float64 // bytes of weights that a pass of seqs reads
	sample               int64   // bytes of an encoded example
}

// measure writes the beginning of captions of the sample by so many systems at once; apart: each has a vision tower of its
// own.
func measure(m model.Model, o Options, sample *model.Sample, batch, systems int, apart bool) (usage, error) {
	var err error
	k := max(1, o.Beams)
	u := usage{seqs: batch, sample: 4 * int64(len(sample.Pixels)+2*len(sample.IDs))}
	if k > 1 {
		u.seqs = 1 // beams of one example are the batch
	}
	members := lora.Members{}
	for range systems {
		members = append(members, &lora.Member{Part: &nn.Part{}, Vision: apart})
	}
	sequences := func(each int) []*sequence {
		seqs := make([]*sequence, each*systems)
		for i := range seqs {
			seqs[i] = &sequence{sample: sample, who: i / each}
		}
		return seqs
	}
	work := func(m model.Model, on *ops.Meter) {
		w, seqs := &writer{m, o, members}, sequences(u.seqs*k)
		var spent [4]ops.Spent
		room := *w
		room.o.MaxNewTokens = max(o.MaxNewTokens, len(spent)-1) // also where fewer are wanted, these are written
		last, _ := room.prefill(context.Background(), seqs)     // no error: the context does not end
		for i := 1; i < len(spent); i++ {
			spent[i] = on.Spent()
			last = w.advance(seqs, last)
		}
		u.prefill = spent[1].FLOPs / float64(len(seqs))
		each := float64(u.seqs * systems)
		u.token = (spent[2].FLOPs - spent[1].FLOPs) / each
		u.grows = (spent[3].FLOPs-spent[2].FLOPs)/each - u.token
		u.readFirst, u.readToken = spent[1].Read, spent[2].Read-spent[1].Read
	}
	u.Estimate = model.Measure(m, work)
	if k > 1 {
		few := o
		few.MaxNewTokens = min(o.MaxNewTokens, 5) // all caches are there by then
		u.Estimate = model.Measure(m, func(m model.Model, _ *ops.Meter) {
			w := &writer{endless{m}, few, members}
			err = w.beamSearch(context.Background(), sequences(1), len(sample.IDs)+o.MaxNewTokens)
		})
	}
	return u, err
}

// endless is a model whose captions never end by themselves.
type endless struct{ model.Model }

func (e endless) Info() model.Info {
	i := e.Model.Info()
	i.EOS = nil
	return i
}
