package testmodel

import (
	"lightbox/stdlib/data"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
)

// Tiny is a model of the size of the embedded checkpoint with random weights, for benchmarks.
func Tiny() model.Systems {
	return models.New(models.Config{
		Vision:    models.VisionConfig{HiddenSize: 128, NumHiddenLayers: 5, NumAttentionHeads: 4, ImageSize: 64, PatchSize: 8},
		Text:      models.TextConfig{HiddenSize: 192, NumHiddenLayers: 5, NumAttentionHeads: 6, TieWordEmbeddings: true},
		VocabSize: 640, Prompts: []string{"Describe the image."},
	}, data.Phantom(data.PhantomOptions{Train: 200, Seed: 1}))
}
