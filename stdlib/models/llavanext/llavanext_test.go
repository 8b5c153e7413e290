package llavanext

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/clipllama"
	"lightbox/stdlib/models/model"
)

var family = modeltest.Family{
	Family: Family(), Cases: []string{"mistral", "vicuna", "new"},
	Spell: func(spelling, name string) string {
		switch spelling {
		case "hub":
			return clipllama.HubName(name)
		case "4.52":
			return strings.Replace(name, "model.vision_tower.", "model.vision_tower.vision_model.", 1)
		}
		return name
	},
}

func TestFamily(t *testing.T) { modeltest.Run(t, family) }

func TestWriteForReference(t *testing.T) { modeltest.WriteForReference(t, family) }

// published are the hub's llava-hf/llava-v1.6-…-hf: parameters in all and by tower, context.
var published = []struct {
	config                             string
	total, vision, connector, language string
	context                            int
}{
	{"llava-v1.6-mistral-7b.json", "7,566,747,648", "303,507,456", "20,983,808", "7,242,256,384", 32768},
	{"llava-v1.6-vicuna-7b.json", "7,063,431,168", "303,507,456", "20,983,808", "6,738,939,904", 4096},
}

// TestPublishedCount counts the published checkpoints from their configurations alone.
func TestPublishedCount(t *testing.T) {
	for _, p := range published {
		raw, err := os.ReadFile(filepath.Join("..", "published", p.config))
		if err != nil {
			t.Fatal(err)
		}
		m, err := kind.New(raw)
		if err != nil {
			t.Fatal(err)
		}
		towers := map[model.Tower][]model.Param{}
		for _, q := range m.Params() {
			towers[q.Tower] = append(towers[q.Tower], q)
		}
		if got := model.Count(m.Params()); got != p.total {
			t.Errorf("%s: %s parameters; want %s", p.config, got, p.total)
		}
		for tower, want := range map[model.Tower]string{model.Vision: p.vision, model.Connector: p.connector, model.Language: p.language} {
			if got := model.Count(towers[tower]); got != want {
				t.Errorf("%s: the %s tower has %s parameters; want %s", p.config, tower, got, want)
			}
		}
		if i := m.Info(); i.ImageTokens != 2928 || i.VisionHidden != 1024 || i.Context != p.context {
			t.Errorf("%s: %+v", p.config, i)
		}
		for _, s := range []struct{ h, w, tokens, rows int }{
			{512, 512, 2928, 5 * 576}, {600, 800, 2340, 5 * 576}, {800, 600, 2352, 5 * 576}, {256, 256, 1176, 3 * 576}, {3, 500, 576, 3 * 576},
		} {
			b, err := m.Blank(s.w, s.h, 7, 2)
			if err != nil || len(b.IDs) != s.tokens+7 || b.Rows != s.rows {
				t.Errorf("%s: an image of %dx%d pixels takes %d tokens and %d rows (%v); want %d and %d", p.config, s.w, s.h, len(b.IDs)-7, b.Rows, err, s.tokens, s.rows)
			}
		}
	}
}

// TestQuantised: a model in 4 bits, and adapters trained on it, against bitsandbytes' values in transformers and PEFT.
func TestQuantised(t *testing.T) {
	modeltest.RunQuantised(t, family, "mistral", "nf4")
}
