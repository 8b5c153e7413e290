package generate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/features"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/vision"
)

// Captions lets every system caption every example of a set. The rows carry the systems' labels, then id, image,
// reference, caption and modality. Prompts name an example's modality first where the set carries one (data.WithModality).
//
// Systems of one base write in one batch, as far as memory allows: each image is read once, and each pass reads the base
// once for all. A caption does not depend on it.
//
// A long run can be interrupted: captions already written are not written again.
func Captions(systems model.Systems, set data.Set, o Options) frame.Frame {
	if step.Current().Rehearse {
		o.MaxNewTokens = min(o.MaxNewTokens, rehearsalTokens)
	}
	if systems.Len() == 0 {
		return frame.New(step.Bad(captionsOp, errors.New("no system to write captions: the list is empty")), nil)
	}
	if err := systems.Duplicates(); err != nil {
		return frame.New(step.Bad(captionsOp, err), nil)
	}
	var parts []frame.Frame
	for _, sys := range systems.All() {
		ref := step.New(captionsOp, captionsParams{o, sys.Skeleton}, append(sys.Refs(), set.Ref())...)
		f := frame.New(ref, frame.CaptionColumns()).WithImages(data.Film)
		for _, l := range sys.Labels {
			f = f.As(l.Key, l.Value)
		}
		parts = append(parts, f)
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return frame.Stack(parts...)
}

type captionsParams struct {
	Options  Options
	Skeleton func() (model.Model, error) `key:"local"`
}

var captionsOp = &step.Op{Name: "generate.Captions", Version: "1",
	Check: func(s step.Step) []error { return s.Params.(captionsParams).Options.check() },
	Cost:  func(s step.Step) step.Cost { return captionsCost([]step.Step{s}) },
	Run: func(ctx *step.Context, dir string) error {
		return writeTogether([]*step.Context{ctx}, []string{dir})[0]
	},
	Together: &step.Together{Key: sharedBase, Cost: captionsCost, Run: writeTogether},
}

// sharedBase is equal for systems that can write in one batch: of one base, on the same examples, with the same options.
func sharedBase(s step.Step) string {
	p := s.Params.(captionsParams)
	return fmt.Sprintf("%s %s %+v", s.In[0].ID(), s.In[len(s.In)-1].ID(), p.Options.filled())
}

// author writes the captions of one step.
type author struct {
	ctx *step.Context
	log *captionLog
	who int // of the writer's members
}

// writeTogether writes every example's captions by all steps' systems, which stand on one base.
func writeTogether(ctxs []*step.Context, dirs []string) []error {
	errs := make([]error, len(ctxs))
	authors := make([]*author, len(ctxs))
	err := func() error {
		for i, ctx := range ctxs {
			log, err := openLog(ctx)
			if err != nil {
				return err
			}
			defer log.close()
			authors[i] = &author{ctx, log, i}
		}
		err := writeAll(authors, dirs)
		if errors.Is(err, lora.ErrWhole) && len(authors) > 1 { // what only the adapter's file tells
			for i, a := range authors {
				if err := writeAll([]*author{{a.ctx, a.log, 0}}, dirs[i:i+1]); err != nil {
					return err
				}
			}
			return nil
		}
		return err
	}()
	for i := range errs {
		errs[i] = err
	}
	return errs
}

func writeAll(authors []*author, dirs []string) error {
	st := authors[0].ctx.Step()
	r, err := data.Open(authors[0].ctx.Input(len(st.In) - 1))
	if err != nil {
		return err
	}
	w, err := openWriter(authors)
	if err != nil {
		return err
	}
	defer w.disk.Close()
	for lo := 0; lo < r.Len(); lo += w.o.BatchSize {
		hi := min(lo+w.o.BatchSize, r.Len())
		if err := w.batch(authors, r, lo, hi); err != nil {
			return err
		}
		for _, a := range authors {
			a.ctx.Progress(int64(hi), int64(r.Len()), "captions")
		}
	}
	for i, a := range authors {
		if err := a.rows(r).Write(dirs[i]); err != nil {
			return err
		}
	}
	return nil
}

// openWriter loads the authors' systems.
func openWriter(authors []*author) (*writer, error) {
	o := authors[0].ctx.Step().Params.(captionsParams).Options.filled()
	var ctxs []*step.Context
	var systems []model.System
	for _, a := range authors {
		in := a.ctx.Step().In
		ctxs, systems = append(ctxs, a.ctx), append(systems, model.System{Base: in[0], Adapters: in[1 : len(in)-1]})
	}
	var w *writer
	if len(authors) == 1 {
		m, err := lora.Open(ctxs[0], systems[0])
		if err != nil {
			return nil, err
		}
		w = solo(m, o)
	} else {
		m, members, err := lora.OpenTogether(ctxs, systems)
		if err != nil {
			return nil, err
		}
		w = &writer{m: m, o: o, members: members}
	}
	var err error
	w.dev = ops.From(ctxs[0])
	if !slices.ContainsFunc(w.members, func(m *lora.Member) bool { return !m.Vision }) {
		ctxs[0].Logf("%s", features.Plan(0, 0, features.Adapted(w.m)))
		return w, nil
	}
	w.members.Even() // no adapter takes part yet
	w.disk, err = features.Open(ctxs[0], systems[0].Base, w.m)
	return w, err
}

func (a *author) rows(r *data.Reader) *frame.Rows {
	rows := frame.NewRows(frame.CaptionColumns())
	for i := range r.Len() {
		ex, k := r.Example(i), rows.Add()
		rows.SetString(k, frame.ID, ex.ID)
		rows.SetString(k, frame.Image, ex.Image)
		rows.SetString(k, frame.Reference, ex.Caption)
		rows.SetString(k, frame.Caption, a.log.done[i])
		rows.SetString(k, frame.Modality, ex.Modality)
	}
	return rows
}

// batch writes the captions of examples [lo, hi) that some log does not hold yet.
func (w *writer) batch(authors []*author, r *data.Reader, lo, hi int) error {
	var missing []int
	var some []*author // whose log lacks any
	for _, a := range authors {
		lacks := false
		for i := lo; i < hi; i++ {
			if _, ok := a.log.done[i]; !ok {
				lacks = true
				if !slices.Contains(missing, i) {
					missing = append(missing, i)
				}
			}
		}
		if lacks {
			some = append(some, a)
		}
	}
	slices.Sort(missing)
	samples, images := map[int]*model.Sample{}, map[int]*features.Image{}
	for _, i := range missing {
		var err error
		if samples[i], images[i], err = w.encode(r, i); err != nil {
			return err
		}
		defer images[i].Close()
	}
	var seqs []*sequence
	for _, a := range some {
		for _, i := range missing {
			seqs = append(seqs, &sequence{row: i, who: a.who, sample: samples[i], image: images[i], draw: newSampler(w.o, r.Example(i).ID)})
		}
	}
	if len(seqs) == 0 {
		return nil
	}
	search := w.write
	if w.o.Beams > 1 {
		search = w.beams
	}
	if err := search(authors[0].ctx, seqs); err != nil {
		return err
	}
	for _, s := range seqs {
		if err := authors[s.who].log.add(s.row, strings.TrimSpace(w.m.Decode(s.out))); err != nil {
			return err
		}
	}
	return nil
}

// encode makes the sample of an example, with what the disk knows of its image.
func (w *writer) encode(r *data.Reader, i int) (*model.Sample, *features.Image, error) {
	ex := r.Example(i)
	return w.disk.Encode(r, i, func(im *vision.Image) (*model.Sample, error) {
		sample, err := w.m.Encode(model.Input{Image: im, Prompt: ex.Ask(w.o.Question)})
		if err != nil {
			return nil, fmt.Errorf("example %s: %w", ex.ID, err)
		}
		if room := w.m.Info().Context; room > 0 && len(sample.IDs)+w.o.MaxNewTokens > room {
			return nil, fmt.Errorf("example %s: %d tokens of prompt and %d new ones exceed the %d that the model holds", ex.ID, len(sample.IDs), w.o.MaxNewTokens, room)
		}
		return sample, nil
	})
}

// A captionLog keeps written captions across an interruption, one JSON line each. A torn last line counts for nothing.
type captionLog struct {
	f    *os.File
	done map[int]string // by row of the set
}

type captionLine struct {
	Row     int    `json:"row"`
	Caption string `json:"caption"`
}

func openLog(ctx *step.Context) (*captionLog, error) {
	scratch, err := ctx.Scratch()
	if err != nil {
		return nil, err
	}
	name := filepath.Join(scratch, "captions.jsonl")
	l := &captionLog{done: map[int]string{}}
	raw, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	whole := 0
	for {
		line, _, ok := bytes.Cut(raw[whole:], []byte("\n"))
		var c captionLine
		if !ok || json.Unmarshal(line, &c) != nil {
			break
		}
		l.done[c.Row] = c.Caption
		whole += len(line) + 1
	}
	if len(l.done) > 0 {
		ctx.Logf("resumed with %d captions", len(l.done))
	}
	if l.f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, err
	}
	if err := l.f.Truncate(int64(whole)); err != nil {
		return nil, errors.Join(err, l.f.Close())
	}
	if _, err := l.f.Seek(int64(whole), 0); err != nil {
		return nil, errors.Join(err, l.f.Close())
	}
	return l, nil
}

// add keeps a caption, unless the row has one, which is the same.
func (l *captionLog) add(row int, caption string) error {
	if _, ok := l.done[row]; ok {
		return nil
	}
	raw, err := json.Marshal(captionLine{row, caption})
	if err != nil {
		return err
	}
	l.done[row] = caption
	_, err = l.f.Write(append(raw, '\n'))
	return err
}

func (l *captionLog) close() { l.f.Close() }
