// Mini: the main job with a model of thousands of parameters.
//
//	title: The main job, tiny
//	seed: 5
package mini

import (
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/generate"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/modality"
	"lightbox/stdlib/models"
	"lightbox/stdlib/param"
	"lightbox/stdlib/score"
	"lightbox/stdlib/table"
	"lightbox/stdlib/train"
)

// %% Data

var set = data.Phantom(data.PhantomOptions{Train: 32, Valid: 4, Test: 4, Seed: 1})

var test = set.Split("test")

// %% Model

var base = models.New(models.Config{
	Vision:    models.VisionConfig{HiddenSize: 32, NumHiddenLayers: 2, NumAttentionHeads: 2, ImageSize: 32, PatchSize: 8},
	Text:      models.TextConfig{HiddenSize: 32, NumHiddenLayers: 2, NumAttentionHeads: 2, TieWordEmbeddings: true},
	VocabSize: 340,
	Prompts:   []string{"Describe the image."},
}, set).As("system", "base")

var adapted = train.LoRA(base, set, lora.Config{Rank: param.Int("rank", 4, "LoRA rank"), Alpha: 8, Dropout: 0.1}, train.Config{Epochs: param.Int("epochs", 2, "passes"), BatchSize: 4, LR: 1e-2}).As("system", "LoRA")

// %% Result

var both = models.Join(base, adapted)

var plain = generate.Captions(both, test, generate.Greedy(16)).As("prompt", "plain")

var hinted = generate.Captions(both, test.WithModality(modality.Probe(base, set)), generate.Greedy(16)).As("prompt", "+Modality")

var Table = table.New(score.Captions(frame.Stack(plain, hinted), score.Offline()), table.Rows("system", "prompt"))
