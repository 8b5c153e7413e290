package generate

import (
	"path/filepath"
	"slices"
	"testing"

	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/idefics3"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/models/visiongpt2"
)

// ending is a model whose captions end at other tokens.
type ending struct {
	model.Model
	eos []int32
}

func (m ending) Info() model.Info {
	i := m.Model.Info()
	i.EOS = m.eos
	return i
}

// TestFamilies holds beam search on every family's goldens against transformers': caches of another kind must follow
// their beams too.
func TestFamilies(t *testing.T) {
	for _, f := range []model.Family{idefics3.Family(), visiongpt2.Family()} {
		cases, err := filepath.Glob(filepath.Join("..", "models", f.Name, "testdata", "*", "golden.json"))
		if err != nil || len(cases) == 0 {
			t.Fatalf("%s has no goldens: %v", f.Name, err)
		}
		for _, file := range cases {
			name := filepath.Join("..", filepath.Dir(file)) // from testdata, where modeltest begins
			g := modeltest.Read(t, name)
			m := ending{modeltest.Family{Family: f}.Load(t, name), g.EOS}
			tested := 0
			for k, e := range g.Examples {
				if e.Beams == nil {
					continue
				}
				want := e.Beams
				if i := slices.IndexFunc(want, func(id int32) bool { return slices.Contains(g.EOS, id) }); i >= 0 {
					want = want[:i]
				}
				s := &sequence{sample: modeltest.Encode(t, m, e, false)}
				o := Options{MaxNewTokens: g.BeamTokens, Beams: g.BeamCount}.filled()
				if err := beams(t.Context(), m, o, []*sequence{s}); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(s.out, want) {
					t.Errorf("%s %d: %d beams give\n%v\nwant\n%v", file, k, g.BeamCount, s.out, want)
				}
				tested++
			}
			t.Logf("%s: %d captions of %d beams", file, tested, g.BeamCount)
		}
	}
}
