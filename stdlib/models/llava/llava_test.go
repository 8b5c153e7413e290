package llava

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
	Family: Family(), Cases: []string{"grouped", "tied", "sharded"},
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

// TestQuantised: a model in 4 bits or 8, and adapters trained on it, against bitsandbytes' values in transformers and PEFT.
func TestQuantised(t *testing.T) {
	modeltest.RunQuantised(t, family, "grouped", "nf4")
	modeltest.RunQuantised(t, family, "grouped", "int8")
	modeltest.RunQuantised(t, family, "tied", "nf4-single")
	modeltest.RunQuantisedMutants(t, family, "grouped", "nf4")
}

func TestWriteForReference(t *testing.T) {
	modeltest.WriteForReference(t, family)
	m, err := family.Load(t, "grouped").(model.SquarePadder).PadToSquare()
	if err != nil {
		t.Fatal(err)
	}
	modeltest.WriteExpected(t, family, m, "padded")
}

// TestPublishedCount counts llava-hf/llava-1.5-7b-hf from its configuration alone.
func TestPublishedCount(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "published", "llava-1.5-7b.json"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(raw)
	if err != nil {
		t.Fatal(err)
	}
	if got := model.Count(m.Params()); got != "7,063,427,072" {
		t.Error(got)
	}
	if i := m.Info(); i.ImageTokens != 576 || i.VisionHidden != 1024 || i.Context != 4096 {
		t.Error(i)
	}
}
