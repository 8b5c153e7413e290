package score

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/runtime/view"
	"lightbox/stdlib/frame"
)

// The captions of the paper's Tables 6 and 7, and by component what is in them; the paper names components and not their
// words (its colours are lost in the text), which are written down here by reading: M modality, F finding, A anatomy, L
// laterality, V marker, C measurement. "=" stands before what the ground truth says too.
var paperCaptions = []struct{ table, system, caption, want string }{
	{"6", "Ground Truth", "chestX-ray showing a right pleural effusion (green arrow)", "=A chest =M X-ray =L right =A pleural =F effusion =V arrow"},
	{"6", "LLaVA-Mistral-7B", "ChestX-ray showing a right-sided pleural effusion (green arrow)", "=A Chest =M X-ray =L right-sided =A pleural =F effusion =V arrow"},
	{"6", "LLaVA-Vicuna-7B", "ChestX-ray showing a large right-sided pleural effusion (green arrow)", "=A Chest =M X-ray =L right-sided =A pleural =F effusion =V arrow"},
	{"6", "LLaVA-1.5", "ChestX-ray showing a large right-sided pleural effusion", "=A Chest =M X-ray =L right-sided =A pleural =F effusion"},
	{"6", "IDEFICS-9B", "ChestX-ray showing a large right-sided pleural effusion (green arrow)", "=A Chest =M X-ray =L right-sided =A pleural =F effusion =V arrow"},
	{"6", "MoonDream2", "ChestX-ray showing a right-sided pleural effusion (arrow)", "=A Chest =M X-ray =L right-sided =A pleural =F effusion =V arrow"},
	{"6", "Qwen 2-VL", "ChestX-ray of the patient shows an enlarged right-sided infiltrate in the right lower lobe (arrow)", "=A Chest =M X-ray =L right-sided F infiltrate =L right A lower lobe =V arrow"},
	{"6", "SmolVLM", "An arrow pointing to a mass in the patient’s chest on a chest x-ray", "=V arrow F mass =A chest =A chest =M x-ray"},
	{"6", "Qwen 2.5", "CT scan of the left kidney showing a renal cystic lesion (arrow)", "M CT scan L left A kidney A renal F cystic lesion =V arrow"},
	{"6", "VisionGPT2", "A chest X-ray showing a large right-sided pneumothorax", "=A chest =M X-ray =L right-sided F pneumothorax"},
	{"6", "CNN-Transformer", "Chestx ray in sagittal", "=A Chestx =M ray"},
	{"7", "Ground Truth", "CTpulmonary embolus study showing pericardial effusion measuring 19.27 mm in this plane", "=M CT =A pulmonary =F embolus =A pericardial =F effusion =C 19.27 mm"},
	{"7", "LLaVA-Mistral-7B", "CTpulmonary embolus study showing pericardial effusion measuring 19.27 mm in this plane", "=M CT =A pulmonary =F embolus =A pericardial =F effusion =C 19.27 mm"},
	{"7", "LLaVA-Vicuna-7B", "CTpulmonary angiogram showing pericardial effusion measuring 19.27 mm in this plane", "=M CT =A pulmonary =M angiogram =A pericardial =F effusion =C 19.27 mm"},
	{"7", "LLaVA-1.5", "CTpulmonary embolism showing a large right lower lobe pulmonary embolism", "=M CT =A pulmonary =F embolism L right A lower lobe =A pulmonary =F embolism"},
	{"7", "IDEFICS-9B", "CTpulmonary embolism study showing [truncated/incomplete]", "=M CT =A pulmonary =F embolism"},
	{"7", "MoonDream2", "CT scan of the chest showing a large mass in the right upper lobe", "=M CT scan A chest F mass L right A upper lobe"},
	{"7", "Qwen 2-VL", "Computed tomography scan showed a large right-sided mass in the right side", "=M Computed tomography L right-sided F mass L right"},
	{"7", "SmolVLM", "A cross-section of a CT scan of the chest and abdomen, with a yellow square pointing to the 19.27 mm measurement", "=M CT scan A chest A abdomen V square =C 19.27 mm"},
	{"7", "Qwen 2.5", "Axial T2 magnetic resonance imaging of patient", "M magnetic resonance imaging"},
	{"7", "VisionGPT2", "PET-CT scan showing a large right hepatic cyst in the right hepatic lobe", "M PET-CT L right A hepatic F cyst L right A hepatic"},
	{"7", "CNN-Transformer", "CT scan showing enlargement in liver lesion", "=M CT scan F enlargement A liver F lesion"},
}

// paperFrame are the captions of one of the tables, its ground truth as their reference.
func paperFrame(table string) frame.Frame {
	out := frame.NewRows(frame.CaptionColumns("system"))
	truth := ""
	for _, c := range paperCaptions {
		switch {
		case c.table != table:
		case c.system == "Ground Truth":
			truth = c.caption
		default:
			i := out.Add()
			out.SetString(i, "system", c.system)
			out.SetString(i, frame.ID, "Table "+table)
			out.SetString(i, frame.Reference, truth)
			out.SetString(i, frame.Caption, c.caption)
		}
	}
	op := &step.Op{Name: "test.paper", Version: "1", Run: func(_ *step.Context, dir string) error { return out.Write(dir) }}
	return frame.New(step.New(op, table), out.Columns())
}

func spansText(c view.Cell) string {
	var out []string
	for _, s := range c.Spans {
		m := ""
		if s.Match {
			m = "="
		}
		out = append(out, m+s.Sign+" "+c.Text[s.Start:s.End])
	}
	return strings.Join(out, " ")
}

func TestPaperComponents(t *testing.T) {
	for _, table := range []string{"6", "7"} {
		a := Components(paperFrame(table))
		v, err := a.View(steptest.Run(t, a.Refs()...))
		if err != nil {
			t.Fatal(err)
		}
		shown := v.(view.List)[0].(view.Table)
		k := 0
		for _, c := range paperCaptions {
			if c.table != table {
				continue
			}
			r := shown.Rows[k]
			k++
			if name := r.Cells[0].Text; !strings.EqualFold(name, c.system) || r.Cells[1].Text != c.caption {
				t.Fatalf("row %d is of %s: %s", k, name, r.Cells[1].Text)
			}
			if got := spansText(r.Cells[1]); got != c.want {
				t.Errorf("Table %s, %s\ngot  %s\nwant %s", table, c.system, got, c.want)
			}
		}
		if k != len(shown.Rows) {
			t.Errorf("%d rows; want %d", len(shown.Rows), k)
		}
		if got := spansText(shown.Legend); got != "=M Image modality =F Pathological finding =A Anatomical location =L Laterality =V Visual marker =C Clinical measurement" {
			t.Errorf("legend %s", got)
		}
	}
}

func TestComponentCounts(t *testing.T) {
	rows, err := frame.Read(steptest.Run(t, Components(paperFrame("7")).Counts().Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for i := range rows.Len() {
		got[rows.String(i, "system")+"/"+rows.String(i, "component")] = fmt.Sprint(rows.Number(i, "named"), rows.Number(i, "said"), rows.Number(i, "shared"))
	}
	for key, want := range map[string]string{
		"LLaVA-Mistral-7B/All components":     "6 6 6",
		"LLaVA-Vicuna-7B/All components":      "6 5 5",
		"IDEFICS-9B/Pathological finding":     "2 1 1",
		"MoonDream2/Anatomical location":      "2 2 0",
		"SmolVLM/Clinical measurement":        "1 1 1",
		"Qwen 2.5/Image modality":             "1 1 0",
		"VisionGPT2/Laterality":               "0 1 0",
		"CNN-Transformer/All components":      "6 4 1",
		"LLaVA-1.5/Clinical measurement":      "1 0 0",
		"LLaVA-Mistral-7B/Image modality":     "1 1 1",
		"LLaVA-Mistral-7B/Visual marker":      "0 0 0",
		"Qwen 2-VL/Clinical measurement":      "1 0 0",
		"Qwen 2-VL/Pathological finding":      "2 1 0",
		"Qwen 2-VL/Laterality":                "0 1 0",
		"MoonDream2/Pathological finding":     "2 1 0",
		"LLaVA-Vicuna-7B/Laterality":          "0 0 0",
		"LLaVA-Vicuna-7B/Image modality":      "1 1 1",
		"CNN-Transformer/Image modality":      "1 1 1",
		"CNN-Transformer/Anatomical location": "2 1 0",
	} {
		if got[key] != want {
			t.Errorf("%s: %s; want %s", key, got[key], want)
		}
	}
	if len(got) != 10*7 {
		t.Errorf("%d rows", len(got))
	}
}

// Lengths agree within the rounding of the coarser of the two, each with one.
func TestAlignSizes(t *testing.T) {
	for _, c := range []struct {
		ref, caption string
		want         int
	}{
		{"19.27 mm", "1.927 cm", 1}, {"19.27 mm", "19.3 mm", 1}, {"19.27 mm", "19.4 mm", 0}, {"19.27 mm", "19 mm", 1}, {"19.27 mm", "20 mm", 0},
		{"19.27 mm", "2 cm", 1}, {"19.27 mm", "1 cm", 0}, {"2 cm", "24.9 mm and 15.1 mm", 1}, {"10 x 12 mm", "1.2 x 1.0 cm", 2}, {"10 mm", "", 0},
		{"3 mm and 3.4 mm", "3.4 mm and 3.0 mm", 2}, {"3.0 mm and 3.4 mm", "3 mm", 1},
	} {
		if a := align(sizes(c.ref), sizes(c.caption)); a.shared != c.want {
			t.Errorf("%q, %q: %d shared; want %d", c.ref, c.caption, a.shared, c.want)
		}
		if a := align(sizes(c.caption), sizes(c.ref)); a.shared != c.want {
			t.Errorf("%q, %q: %d shared; want %d", c.caption, c.ref, a.shared, c.want)
		}
	}
	if d := (Mention{Kind: Side, Term: "left"}).apart(Mention{Kind: Side, Term: "right"}); !math.IsInf(d, 1) {
		t.Error("left is not right")
	}
}

func TestComponentsErrors(t *testing.T) {
	f := paperFrame("6")
	for want, a := range map[string]ComponentAnalysis{
		`no component "sid"; did you mean "side"?`: Components(f, "sid"),
		`has a column "component" already`:         Components(f.As("component", "x")),
		`needs texts: no column "caption"`:         Components(Components(f).Counts().As("x", "y")),
	} {
		if _, err := steptest.Try(t, context.Background(), a.Ref()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want %s", err, want)
		}
	}
}

// Of many images the view shows the first, and of one that is asked for that one.
func TestComponentsOfMany(t *testing.T) {
	f := tenSystems(t, 9)
	tables := func(a ComponentAnalysis) []view.Table {
		t.Helper()
		v, err := a.View(steptest.Run(t, a.Refs()...))
		if err != nil {
			t.Fatal(err)
		}
		var out []view.Table
		for _, x := range v.(view.List) {
			out = append(out, x.(view.Table))
		}
		return out
	}
	all := tables(Components(f))
	if len(all) != shownImages || len(all[0].Rows) != 11 || all[0].Legend.Text != "" || all[3].Legend.Text == "" || !strings.Contains(strings.Join(all[3].Footer, " "), "The first 4 of 9 images") {
		t.Errorf("%d tables, footer %q", len(all), all[len(all)-1].Footer)
	}
	one := tables(Components(f.At("7"), Size))
	if len(one) != 1 || one[0].Title != "7" || one[0].Rows[0].Cells[1].Text != "Axial CT of the left lung with a 8 cm nodule." || spansText(one[0].Rows[0].Cells[1]) != "=C 8 cm" {
		t.Errorf("got %+v", one)
	}
	none := Components(f.Where("id == 'x'"))
	if v, err := none.View(steptest.Run(t, none.Refs()...)); err != nil || v.(view.Text).Markdown != "no captions" {
		t.Errorf("no captions: %v, %v", v, err)
	}
}
