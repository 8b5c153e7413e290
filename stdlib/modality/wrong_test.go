package modality

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/data"
)

// A wrong label is never the true one, has every other class about as often, and depends on seed, split and ID alone.
func TestWrong(t *testing.T) {
	set := data.Phantom(data.PhantomOptions{Test: 800, Seed: 1})
	hints := func(of data.Set, seed uint64) map[string]data.Example {
		t.Helper()
		r, err := data.Open(steptest.Run(t, of.WithModality(Wrong(seed)).Ref())[0])
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]data.Example{}
		for i := range r.Len() {
			out[r.Example(i).ID] = r.Example(i)
		}
		if r.Meta.HintsFrom != "wrong label" {
			t.Errorf("hints from %q", r.Meta.HintsFrom)
		}
		return out
	}
	all := hints(set, 1)
	count := map[string]int{}
	for id, ex := range all {
		if ex.Hint == ex.Modality || ex.Hint == "" {
			t.Fatalf("%s is a %s and is called %q", id, ex.Modality, ex.Hint)
		}
		count[ex.Modality+" as "+ex.Hint]++
	}
	if len(count) != 16 { // four true classes, four others of each
		t.Errorf("pairs: %v", count)
	}
	for pair, n := range count {
		if n < 25 || n > 80 { // 50 expected, standard deviation 6
			t.Errorf("%s: %d of 200", pair, n)
		}
	}
	for id, ex := range hints(set.Take(5), 1) {
		if ex.Hint != all[id].Hint {
			t.Errorf("%s: %q alone, %q among others", id, ex.Hint, all[id].Hint)
		}
	}
	differ := 0
	for id, ex := range hints(set, 2) {
		if ex.Hint != all[id].Hint {
			differ++
		}
	}
	if differ < 400 {
		t.Errorf("another seed changes %d of 800 labels", differ)
	}
	unknown := data.Phantom(data.PhantomOptions{Train: 1, Reports: 1, Seed: 1})
	if _, err := steptest.Try(t, context.Background(), unknown.WithModality(Wrong(1)).Ref()); err == nil || !strings.Contains(err.Error(), "its modality is not known") {
		t.Errorf("error %v", fmt.Sprint(err))
	}
}
