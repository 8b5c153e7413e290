package plot_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"flag"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/runtime/view"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/plot"
	"lightbox/stdlib/table"
)

var keep = flag.String("keep", "", "directory to keep the figures in, to look at")

// Table 4 of the paper: the hardest labels that a figure of it has.
var published = []struct {
	name, group                   string
	relevance, factuality, scored float64
}{
	{"LLaVA Mistral-7B", "Large VLMs", 0.516, 0.118, 0.317}, {"LLaVA Vicuna-7B", "Large VLMs", 0.504, 0.109, 0.306},
	{"IDEFICS-9B", "Large VLMs", 0.482, 0.099, 0.290}, {"LLaVA-1.5", "Large VLMs", 0.462, 0.083, 0.273},
	{"MoonDream2", "Small VLMs", 0.466, 0.093, 0.279}, {"Qwen 2-VL", "Small VLMs", 0.372, 0.091, 0.232},
	{"SmolVLM", "Small VLMs", 0.362, 0.038, 0.200}, {"Qwen-2.5", "Small VLMs", 0.320, 0.056, 0.188},
	{"VisionGPT2", "Baselines", 0.325, 0.028, 0.177}, {"CNN-Transformer", "Baselines", 0.284, 0.024, 0.154},
}

// scored is the frame of Table 4, of n images each.
func scored(n int) frame.Frame {
	rows := frame.NewRows([]frame.Column{{Name: "model", Label: true}, {Name: "group", Label: true}, {Name: frame.ID},
		{Name: "relevance", Kind: frame.Number, Title: "Relevance"}, {Name: "factuality", Kind: frame.Number, Title: "Factuality"}, {Name: "overall", Kind: frame.Number, Title: "Overall"}})
	for _, s := range published {
		for k := range n {
			i := rows.Add()
			rows.SetString(i, "model", s.name)
			rows.SetString(i, "group", s.group)
			rows.SetString(i, frame.ID, fmt.Sprint(k))
			noise := 1 + 0.1*float64(k-(n-1)/2)
			rows.SetNumber(i, "relevance", s.relevance*noise)
			rows.SetNumber(i, "factuality", s.factuality*noise)
			rows.SetNumber(i, "overall", s.scored*noise)
		}
	}
	op := &step.Op{Name: "test.scored", Version: fmt.Sprint(n), Run: func(_ *step.Context, dir string) error { return rows.Write(dir) }}
	return frame.New(step.New(op, nil), rows.Columns())
}

func table4(opts ...table.Option) table.Table {
	return table.New(scored(3), append([]table.Option{table.Rows("model"), table.Group("group")}, opts...)...)
}

func shown(t *testing.T, f plot.Figure) view.Figure {
	t.Helper()
	v, err := f.View(steptest.Run(t, f.Ref()))
	if err != nil {
		t.Fatal(err)
	}
	fig := v.(view.Figure)
	if *keep != "" {
		name := filepath.Join(*keep, strings.ReplaceAll(t.Name(), "/", "-"))
		for ext, raw := range map[string][]byte{".png": fig.PNG, ".svg": fig.SVG, ".pdf": fig.PDF, ".txt": []byte(fig.Preview + "\n" + fig.Caption)} {
			if err := os.WriteFile(name+ext, raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return fig
}

func figures() map[string]plot.Figure {
	curve := frame.NewRows([]frame.Column{{Name: "system", Label: true}, {Name: "step", Kind: frame.Number}, {Name: "loss", Kind: frame.Number, Title: "Loss"}})
	for _, s := range []string{"targeted", "hybrid"} {
		for k := range 200 {
			i := curve.Add()
			curve.SetString(i, "system", s)
			curve.SetNumber(i, "step", float64(k+1))
			curve.SetNumber(i, "loss", 1+float64(len(s)%7)/4+8/float64(k+4)+0.2*float64(k*7919%13)/13)
		}
	}
	op := &step.Op{Name: "test.curve", Version: "1", Run: func(_ *step.Context, dir string) error { return curve.Write(dir) }}
	losses := frame.New(step.New(op, nil), curve.Columns())
	return map[string]plot.Figure{
		"overall":   plot.Bars(table4(), []string{"overall"}, plot.Baseline("VisionGPT2"), plot.Sorted(), plot.Name("model")),
		"intervals": plot.Bars(table4(table.CI(0.95)), []string{"overall"}, plot.Name("model")),
		"groups":    plot.Bars(table4(), []string{"relevance", "factuality", "overall"}, plot.PageWide(), plot.Name("model")),
		"relation":  plot.Scatter(table4(), "relevance", "factuality", plot.Fit(), plot.Name("model")),
		"curves":    plot.Curves(losses, "step", "loss", plot.Smooth(20)),
		"log":       plot.Curves(losses, "step", "loss", plot.LogY()),
	}
}

func TestFigures(t *testing.T) {
	for name, f := range figures() {
		t.Run(name, func(t *testing.T) {
			fig := shown(t, f)
			im, err := png.Decode(bytes.NewReader(fig.PNG))
			if err != nil {
				t.Fatal(err)
			}
			if w := im.Bounds().Dx(); w != 1050 && w != 2148 {
				t.Errorf("%d pixels wide; want a column's 1050 or a page's 2148", w)
			}
			if !bytes.HasPrefix(fig.PDF, []byte("%PDF-")) || !bytes.Contains(fig.SVG, []byte("<svg")) || fig.Preview == "" {
				t.Error("a format is empty")
			}
			if again := shown(t, f); !bytes.Equal(again.PNG, fig.PNG) || !bytes.Equal(again.PDF, fig.PDF) || !bytes.Equal(again.SVG, fig.SVG) {
				t.Error("drawn twice, the figure has other bytes")
			}
		})
	}
}

// A PDF's text is in Windows-1252, of which ρ is no part: what it lacks must be
// drawn, not written as other letters.
func TestPDFHasNoForeignText(t *testing.T) {
	texts := func(fig view.Figure) string {
		var all strings.Builder
		for _, stream := range bytes.Split(fig.PDF, []byte("stream\n"))[1:] {
			z, err := zlib.NewReader(bytes.NewReader(stream))
			if err != nil {
				continue
			}
			raw, _ := io.ReadAll(z) // what follows the stream is no part of it
			if !bytes.Contains(raw, []byte("BT ")) {
				continue
			}
			all.Write(raw)
		}
		return all.String()
	}
	s := texts(shown(t, figures()["relation"]))
	if !strings.Contains(s, "(Relevance)") || strings.Contains(s, "Spearman") {
		t.Errorf("ASCII is text and R² and ρ are outlines; got %d bytes of drawing with Relevance %v, Spearman %v",
			len(s), strings.Contains(s, "(Relevance)"), strings.Contains(s, "Spearman"))
	}
	for i := range len(s) {
		if s[i] >= 0x80 {
			t.Fatalf("byte %#x in the text of a PDF", s[i])
		}
	}
}

func TestSaid(t *testing.T) {
	fig := shown(t, figures()["relation"])
	// scipy.stats.linregress and spearmanr of Table 4's two columns: r² 0.8245, ρ 0.9515.
	if want := "R² = 0.825, Spearman's ρ = 0.952 (n = 10)."; fig.Caption != want {
		t.Errorf("caption %q; want %q", fig.Caption, want)
	}
	fig = shown(t, figures()["overall"])
	for _, want := range []string{"LLaVA Mistral-7B ", " 0.317", "dashed line: 0.177"} {
		if !strings.Contains(fig.Preview, want) {
			t.Errorf("preview lacks %q:\n%s", want, fig.Preview)
		}
	}
	if first := strings.SplitN(fig.Preview, "\n", 6); !strings.HasPrefix(first[3], "MoonDream2") {
		t.Errorf("the fourth bar should be the fourth best:\n%s", fig.Preview)
	}
}

func TestErrors(t *testing.T) {
	for want, f := range map[string]plot.Figure{
		`did you mean "overall"`:            plot.Bars(table4(), []string{"overal"}),
		"at least one column":               plot.Bars(table4(), nil),
		`label: no column "modell"`:         plot.Scatter(table4(), "relevance", "factuality", plot.Name("modell")),
		`did you mean "VisionGPT2"`:         plot.Bars(table4(), []string{"overall"}, plot.Baseline("VisionGPT-2"), plot.Name("model")),
		"plot.Height(-1)":                   plot.Bars(table4(), []string{"overall"}, plot.Height(-1)),
		"draws a line in a figure of one":   plot.Bars(table4(), []string{"overall", "relevance"}, plot.Baseline("VisionGPT2"), plot.Name("model")),
		`"model" holds a string`:            plot.Curves(scored(1), "model", "overall"),
		`two lines of the table are called`: plot.Bars(table.New(scored(1)), []string{"overall"}, plot.Name("group")),
	} {
		if _, err := steptest.Try(t, context.Background(), f.Ref()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want an error with %q", err, want)
		}
	}
}
