package generate

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/llavanext"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/models/visiongpt2"
)

// TestFamilies holds beam search on every family's goldens against the reference's generate.
func TestFamilies(t *testing.T) {
	for _, f := range []struct {
		family model.Family
		dir    string
		cases  []string
	}{
		{llavanext.Family(), "llavanext", []string{"mistral", "vicuna", "new"}},
		{visiongpt2.Family(), "visiongpt2", []string{"projected", "untied"}},
	} {
		n := 0
		for _, name := range f.cases {
			at := fmt.Sprintf("../models/%s/testdata/%s", f.dir, name)
			g, m := modeltest.Read(t, at), modeltest.Family{Family: f.family}.Load(t, at)
			o := Beam(g.BeamCount, g.BeamTokens).filled()
			for k, e := range g.Examples {
				s := &sequence{sample: modeltest.Encode(t, m, e, false)}
				if err := beams(context.Background(), m, o, []*sequence{s}); err != nil {
					t.Fatal(err)
				}
				want := e.Beams
				if i := slices.IndexFunc(want, func(id int32) bool { return slices.Contains(g.EOS, id) }); i >= 0 {
					want = want[:i]
				}
				if len(e.Beams) == 0 || !slices.Equal(s.out, want) {
					t.Errorf("%s/%s, example %d: %v; want %v", f.dir, name, k, s.out, want)
				}
				n++
			}
		}
		t.Logf("%s: %d prompts with the reference's beams", f.dir, n)
	}
}
