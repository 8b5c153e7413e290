package generate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models/model"
)

// Captions lets every system caption every example of a set. The rows carry the systems' labels, then id, image,
// reference, caption and modality. Prompts name an example's modality first where the set carries one (data.WithModality).
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
	Cost:  captionsCost,
	Run:   runCaptions,
}

func runCaptions(ctx *step.Context, dir string) error {
	st := ctx.Step()
	o := st.Params.(captionsParams).Options.filled()
	last := len(st.In) - 1
	r, err := data.Open(ctx.Input(last))
	if err != nil {
		return err
	}
	m, err := lora.Open(ctx, model.System{Base: st.In[0], Adapters: st.In[1:last]})
	if err != nil {
		return err
	}
	log, err := openLog(ctx)
	if err != nil {
		return err
	}
	defer log.close()
	for lo := 0; lo < r.Len(); lo += o.BatchSize {
		if err := captionBatch(ctx, m, o, r, lo, min(lo+o.BatchSize, r.Len()), log); err != nil {
			return err
		}
		ctx.Progress(int64(min(lo+o.BatchSize, r.Len())), int64(r.Len()), "captions")
	}
	rows := frame.NewRows(frame.CaptionColumns())
	for i := range r.Len() {
		ex, k := r.Example(i), rows.Add()
		rows.SetString(k, frame.ID, ex.ID)
		rows.SetString(k, frame.Image, ex.Image)
		rows.SetString(k, frame.Reference, ex.Caption)
		rows.SetString(k, frame.Caption, log.done[i])
		rows.SetString(k, frame.Modality, ex.Modality)
	}
	return rows.Write(dir)
}

// captionBatch writes the captions of examples [lo, hi) that the log does not hold yet.
func captionBatch(ctx *step.Context, m model.Model, o Options, r *data.Reader, lo, hi int, log *captionLog) error {
	var seqs []*sequence
	for i := lo; i < hi; i++ {
		ex := r.Example(i)
		if _, ok := log.done[i]; ok {
			continue
		}
		im, err := r.Image(i)
		if err != nil {
			return err
		}
		sample, err := m.Encode(model.Input{Image: im, Prompt: ex.Ask(o.Question)})
		if err != nil {
			return fmt.Errorf("example %s: %w", ex.ID, err)
		}
		if room := m.Info().Context; room > 0 && len(sample.IDs)+o.MaxNewTokens > room {
			return fmt.Errorf("example %s: %d tokens of prompt and %d new ones exceed the %d that the model holds", ex.ID, len(sample.IDs), o.MaxNewTokens, room)
		}
		seqs = append(seqs, &sequence{row: i, sample: sample, draw: newSampler(o, ex.ID)})
	}
	if len(seqs) == 0 {
		return nil
	}
	search := write
	if o.Beams > 1 {
		search = beams
	}
	if err := search(ctx, m, o, seqs); err != nil {
		return err
	}
	for _, s := range seqs {
		if err := log.add(s.row, strings.TrimSpace(m.Decode(s.out))); err != nil {
			return err
		}
	}
	return nil
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

func (l *captionLog) add(row int, caption string) error {
	raw, err := json.Marshal(captionLine{row, caption})
	if err != nil {
		return err
	}
	l.done[row] = caption
	_, err = l.f.Write(append(raw, '\n'))
	return err
}

func (l *captionLog) close() { l.f.Close() }
