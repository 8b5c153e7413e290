package generate

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models"
)

// TestFamilies: beam search of every family gives the tokens of its reference implementation, as the goldens beside the
// families hold them.
func TestFamilies(t *testing.T) {
	list, err := filepath.Glob("../models/*/testdata/*/golden.json")
	if err != nil || len(list) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, file := range list {
		dir := filepath.Dir(file)
		g := modeltest.Read(t, dir)
		if g.BeamCount == 0 {
			continue
		}
		t.Run(fmt.Sprintf("%s/%s", filepath.Base(filepath.Dir(filepath.Dir(dir))), filepath.Base(dir)), func(t *testing.T) {
			f, err := models.FamilyIn(dir)
			if err != nil {
				t.Fatal(err)
			}
			m := modeltest.Family{Family: f}.Load(t, dir)
			eos := m.Info().EOS
			if len(g.EOS) > 0 && !sameSet(eos, g.EOS) {
				t.Fatalf("captions end with %v; the golden's with %v", eos, g.EOS)
			}
			for k, e := range g.Examples {
				s := &sequence{sample: modeltest.Encode(t, m, e, false)}
				o := Options{MaxNewTokens: g.BeamTokens, Beams: g.BeamCount}.filled()
				if err := solo(m, o).beams(context.Background(), []*sequence{s}); err != nil {
					t.Fatal(err)
				}
				want := e.Beams
				if i := slices.IndexFunc(want, func(id int32) bool { return slices.Contains(eos, id) }); i >= 0 {
					want = want[:i]
				}
				if !slices.Equal(s.out, want) {
					t.Errorf("%d: beam search gives\n%v\nwant\n%v", k, s.out, want)
				}
			}
		})
	}
}

func sameSet(a, b []int32) bool {
	for _, x := range a {
		if !slices.Contains(b, x) {
			return false
		}
	}
	return len(a) == len(b)
}
