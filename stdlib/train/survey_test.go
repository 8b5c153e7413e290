package train

import (
	"context"
	"strings"
	"testing"

	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/models"
)

// TestSurvey: examples that the model cannot hold are all reported before anything is trained on.
func TestSurvey(t *testing.T) {
	long := strings.Repeat("word ", 46)
	set := testmodel.Set(t, testmodel.Row{ID: "a", Picture: []int{1, 30, 40}, Caption: "One."}, testmodel.Row{ID: "b", Picture: []int{2, 30, 30}, Caption: long},
		testmodel.Row{ID: "c", Caption: "Two."}, testmodel.Row{ID: "d", Caption: long})
	r := testmodel.NewRunner(t)
	steps := 0
	r.Metric = func(string, int64, float64) { steps++ }
	_, err := r.Run(context.Background(), loraRef(models.Load(testmodel.Checkpoint(t)), set, small, quick()))
	if err == nil || steps != 0 {
		t.Fatalf("%v after %d metrics", err, steps)
	}
	for _, want := range []string{"1 of 4 examples of split \"train\" do not fit the model", "example b: an image of 30x30 takes 16 tokens, prompt and caption about", "the model holds 256"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "example a") || strings.Contains(err.Error(), "example c") || strings.Contains(err.Error(), "example d") {
		t.Error(err)
	}
	var log []string
	ok := testmodel.NewRunner(t)
	ok.Log = func(line string) { log = append(log, line) }
	good := testmodel.Set(t, testmodel.Row{Picture: []int{1, 30, 40}, Caption: "One."}, testmodel.Row{Caption: "Two, three."})
	if _, err := ok.Run(context.Background(), loraRef(models.Load(testmodel.Checkpoint(t)), good, small, quick())); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(log, "\n"); !strings.Contains(got, "train: 2 examples, each 0 to 16 tokens of image and about") {
		t.Errorf("log:\n%s", got)
	}
}
