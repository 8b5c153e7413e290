package modality

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/models"
)

// On drawn phantoms even a random vision tower tells modalities apart; the hints of one set do not depend on what else is in it.
func TestProbe(t *testing.T) {
	base := models.Load(testmodel.Checkpoint(t))
	set := data.Phantom(data.PhantomOptions{Train: 40, Valid: 12, Test: 12, Seed: 1})
	p := Probe(base, set)
	r := testmodel.NewRunner(t)
	ctx := context.Background()
	dir, err := r.Run(ctx, p.ref)
	if err != nil {
		t.Fatal(err)
	}
	_, a, err := openProbe(dir)
	if err != nil {
		t.Fatal(err)
	}
	if a.Examples != 40 || a.Accuracy["train"] < 0.9 || a.Accuracy["valid"] < 0.5 {
		t.Errorf("fitted on %d, accuracy %v", a.Examples, a.Accuracy)
	}
	hints := func(of data.Set) map[string]string {
		dir, err := r.Run(ctx, of.WithModality(p).Ref())
		if err != nil {
			t.Fatal(err)
		}
		rd, err := data.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for i := range rd.Len() {
			ex := rd.Example(i)
			out[ex.ID] = ex.Hint
		}
		return out
	}
	all := hints(set.Split("test"))
	for id, h := range hints(set.Split("test").Take(3)) {
		if h == "" || h != all[id] {
			t.Errorf("%s: hint %q alone, %q among others", id, h, all[id])
		}
	}
	if _, err := p.View([]string{dir}); err != nil {
		t.Error(err)
	}
	for _, ref := range []step.Ref{p.ref, p.ModalityRef(set)} {
		if c := ref.Step().Op.Cost(ref.Step()); c.FLOPs <= 0 || c.PeakBytes <= 0 {
			t.Errorf("%s costs %+v", ref.Step().Op.Name, c)
		}
	}
}

func TestTrue(t *testing.T) {
	set := data.Phantom(data.PhantomOptions{Test: 3, Seed: 1})
	dir, err := testmodel.NewRunner(t).Run(context.Background(), True().ModalityRef(set))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, data.HintFile))
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	n := 0
	for ; dec.More(); n++ {
		var h hint
		if err := dec.Decode(&h); err != nil || h.Modality == "" {
			t.Errorf("%+v, %v", h, err)
		}
	}
	if n != 3 {
		t.Errorf("%d hints, want 3", n)
	}
}

func TestErrors(t *testing.T) {
	base := models.Load(testmodel.Checkpoint(t))
	phantoms := data.Phantom(data.PhantomOptions{Train: 12, Glossary: 1, Test: 2, Seed: 1})
	bad := func(ref step.Ref, want string) {
		t.Helper()
		_, err := testmodel.NewRunner(t).Run(context.Background(), ref)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	unknown := testmodel.Row{ID: "odd", Picture: []int{1, 30, 30}, Caption: "c"}
	bad(step.New(probeOp, probeParams{}, base.All()[0].Base, testmodel.Set(t, unknown)), "example odd: its modality is not known")
	bad(step.New(trueOp, nil, testmodel.Set(t, unknown)), "example odd: its modality is not known; modality.Probe can guess it")
	bad(Probe(base, phantoms.Split("test")).ref, `no images in the split "train"`)
	bad(Probe(base, phantoms.Where("modality in ['CT', '']")).ref, "all training images are of the modality CT")
	bad(Probe(base, phantoms).ModalityRef(phantoms), "example glossary_000000 has no image to guess a modality from")
	bad(Probe(models.Join(base, base), phantoms).ref, "takes one system, got a list of 2")
}
