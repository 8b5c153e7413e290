package generate

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
)

// TestBarred holds greedy captions against what MoonDream2's own query() answers, ends and barred tokens included: with
// its head as it is, and with one that likes the barred token or the end more.
func TestBarred(t *testing.T) {
	const data = "../models/moondream/testdata/"
	var golden map[string][]struct {
		Image  []int
		Prompt string
		Token  *int
		More   float32
		IDs    []int32
	}
	raw, err := os.ReadFile(data + "answers.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	barred := 0 // answers that are others without bars
	for name, runs := range golden {
		f, err := models.FamilyIn(data + name)
		if err != nil {
			t.Fatal(err)
		}
		m := modeltest.Family{Family: f}.Load(t, data+name)
		all := m.Params()
		bias := all[slices.IndexFunc(all, func(p model.Param) bool { return p.Name == "model.text.lm_head.bias" })]
		asIs := ops.Floats(bias.T())
		for _, r := range runs {
			liked := slices.Clone(asIs)
			if r.Token != nil {
				liked[*r.Token] += r.More
			}
			bias.Tensor = ops.CPU().FromFloats(liked, len(liked))
			sample, err := m.Encode(model.Input{Image: modeltest.Picture(r.Image), Prompt: r.Prompt})
			if err != nil {
				t.Fatal(err)
			}
			s := &sequence{sample: sample}
			if err := solo(m, Greedy(16)).write(context.Background(), []*sequence{s}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(s.out, r.IDs) {
				t.Errorf("%s, %q with token %v liked: %v; want %v", name, r.Prompt, r.Token, s.out, r.IDs)
			}
			if plain := modeltest.Decode(m, []*model.Sample{sample}, 16)[0]; len(r.IDs) == 16 && !slices.Equal(plain, r.IDs) {
				barred++
			}
			o := Options{MaxNewTokens: 6, Beams: 3}.filled()
			if err := solo(m, o).beams(context.Background(), []*sequence{s}); err != nil {
				t.Fatal(err)
			}
			for i, id := range s.out {
				if i > 0 && slices.Contains(m.Info().Barred, id) {
					t.Errorf("%s: beam search takes the barred token %d: %v", name, id, s.out)
				}
			}
		}
	}
	if barred == 0 {
		t.Error("no answer depends on the barred token: the golden does not test it")
	}
}
