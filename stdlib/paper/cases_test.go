package paper

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/frame"
)

// The captions are those of the ten systems on two images.
func TestCases(t *testing.T) {
	rows, err := frame.Read(steptest.Run(t, Cases().Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	if rows.Len() != 20 {
		t.Fatalf("%d captions, want 20", rows.Len())
	}
	table2 := Table2().Data()
	for i := range rows.Len() {
		for _, col := range []string{"system", "group", frame.ID, frame.Reference, frame.Caption, frame.Modality} {
			if rows.String(i, col) == "" {
				t.Errorf("row %d has no %s", i+1, col)
			}
		}
		if i >= 10 && rows.String(i, "system") != rows.String(i-10, "system") {
			t.Errorf("row %d is of %s, of the first image %s", i+1, rows.String(i, "system"), rows.String(i-10, "system"))
		}
		row, ok := table2.Find(rows.String(i, "system"), "")
		if !ok || row.Group != rows.String(i, "group") {
			t.Errorf("%s (%s) is no system of Table 2 in that group", rows.String(i, "system"), rows.String(i, "group"))
		}
	}
}

// Spaces aside, each caption stands in the text of the paper.
func TestCasesAsPrinted(t *testing.T) {
	shared := os.Getenv("LIGHTBOX_SHARED")
	raw, err := os.ReadFile(filepath.Join(shared, "paper", "paper.md"))
	if shared == "" || err != nil {
		t.Skip("the text of the paper is not here: set LIGHTBOX_SHARED to the folder that holds paper/paper.md")
	}
	dense := func(s string) string { return strings.Join(strings.Fields(s), "") }
	_, text, _ := strings.Cut(string(raw), "Caption component analysis for the chest X-ray.")
	text = dense(text)
	for _, c := range publishedCases() {
		for _, x := range c.Captions {
			if want := "|" + dense(x.System) + "|" + dense(x.Caption) + "|"; !strings.Contains(text, want) {
				t.Errorf("%s, %s: the paper does not print %q", c.ID, x.System, x.Caption)
			}
		}
		if !strings.Contains(text, "|GroundTruth|"+dense(c.Reference)+"|") {
			t.Errorf("%s: the paper does not print the reference %q", c.ID, c.Reference)
		}
	}
}
