package table_test

import (
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/score"
	"lightbox/stdlib/table"
)

// speak is a system that captions by a function of the reference.
func speak(set data.Set, system string, f func(i int, reference string) string) frame.Frame {
	op := &step.Op{Name: "test.speak " + system, Version: "1", Run: func(ctx *step.Context, dir string) error {
		r, err := data.Open(ctx.Input(0))
		if err != nil {
			return err
		}
		rows := frame.NewRows(frame.CaptionColumns("system"))
		for k := range r.Len() {
			ex, i := r.Example(k), rows.Add()
			rows.SetString(i, "system", system)
			rows.SetString(i, frame.ID, ex.ID)
			rows.SetString(i, frame.Image, ex.Image)
			rows.SetString(i, frame.Reference, ex.Caption)
			rows.SetString(i, frame.Modality, ex.Modality)
			rows.SetString(i, frame.Caption, f(k, ex.Caption))
		}
		return rows.Write(dir)
	}}
	return frame.New(step.New(op, nil, set.Ref()), frame.CaptionColumns("system"))
}

// The quickstart's table over captions that are known: the perfect system scores
// 1 in every column, one that errs in the side errs there alone, and the constant
// caption names the modality and little else.
func TestQuickstartChain(t *testing.T) {
	set := data.Phantom(data.PhantomOptions{Train: 200, Valid: 8, Test: 48, Seed: 1})
	test := set.Split("test")
	perfect := speak(test, "perfect", func(_ int, ref string) string { return ref })
	sides := speak(test, "wrong side", func(_ int, ref string) string {
		return strings.NewReplacer("left", "right", "right", "left").Replace(ref)
	})
	mute := speak(test, "mute", func(int, string) string { return "" })
	hinted := speak(test, "perfect", func(_ int, ref string) string { return ref })
	all := frame.Stack(frame.Stack(perfect, sides, mute), hinted.As("prompt", "+Modality"), score.BestConstant(set, test))
	tab := table.New(score.Captions(all, score.Offline()), table.Rows("system", "prompt"), table.Versus("system", "mute", "wrong side"))
	v, _ := show(t, tab)
	got := dump(v)
	for _, want := range []string{
		"System | Prompt | ROUGE-1 | ROUGE-2 | ROUGE-L | Concept F1 | Modality | Finding | Side | Anatomy | Size\n",
		"\nperfect |  | *1.000* | *1.000* | *1.000* | *1.000* | *1.000* | *1.000* | *1.000* | *1.000* | *1.000*\n",
		"\nperfect | +Modality | *1.000*",
		"\nmute |  | 0.000 | 0.000 | 0.000 | 0.000 | 0.000 | 0.000 | 0.000 | 0.000 | 0.000\n",
		" | *1.000* | *1.000* | 0.000 | *1.000* | *1.000*\n", // wrong side
		"\nMeans over 48 images; best in bold, second underlined; recipe seed 1.\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for _, r := range v.Rows {
		if r.Cells[0].Text == "best constant caption" && (r.Cells[6].Text != "1.000" || r.Cells[7].Text == "1.000" || r.Cells[2].Text < "0.5") {
			t.Errorf("the constant caption: %v", r.Cells)
		}
	}
}

// Precision, recall and F1 of components: terms summed over images, each once per caption.
func TestComponents(t *testing.T) {
	set := data.Phantom(data.PhantomOptions{Train: 8, Valid: 8, Test: 8, Seed: 1})
	said := []string{"CT of the chest: effusion", "MRI of the right kidney with a 2 cm cyst", "CT of the liver"}
	truth := []string{"CT of the chest: effusion and mass", "MRI of the left kidney with a 19.6 mm cyst", "MRI of the liver"}
	op := &step.Op{Name: "test.said", Version: "1", Run: func(_ *step.Context, dir string) error {
		rows := frame.NewRows(frame.CaptionColumns("system"))
		for _, system := range []string{"ours", "perfect"} {
			for k := range said {
				i := rows.Add()
				rows.SetString(i, "system", system)
				rows.SetString(i, frame.ID, said[k])
				rows.SetString(i, frame.Reference, truth[k])
				rows.SetString(i, frame.Caption, map[string]string{"ours": said[k], "perfect": truth[k]}[system])
			}
		}
		return rows.Write(dir)
	}}
	captions := frame.New(step.New(op, nil, set.Ref()), frame.CaptionColumns("system"))
	v, _ := show(t, table.New(score.Components(captions).Counts(), table.Rows("system"), table.Group("component"), table.Components()))
	got := dump(v)
	for _, want := range []string{
		"System | Named / image | Said / image | Precision | Recall | F1\n",
		"## Image modality\nours | 1.000 | 1.000 | 0.667 | 0.667 | 0.667\nperfect | 1.000 | 1.000 | 1.000 | 1.000 | 1.000\n",
		"## Pathological finding\nours | 1.000 | 0.667 | 1.000 | 0.667 | 0.800\n",
		"## Laterality\nours | 0.333 | 0.333 | 0.000 | 0.000 | 0.000\n",
		"## Visual marker\nours | 0.000 | 0.000 | – | – | –\n",
		"## Clinical measurement\nours | 0.333 | 0.333 | 1.000 | 1.000 | 1.000\n",
		"## All components\nours | 3.667 | 3.333 | 0.800 | 0.727 | 0.762\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
