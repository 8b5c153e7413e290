// Package llava is the LLaVA-1.5 family (Liu et al., 2023), as transformers/models/llava computes it: one view of an
// image, all of whose rows are tokens.
//
// It knows how an image becomes that view and how a checkpoint without a chat template is asked. It does not know the
// network, which all versions of LLaVA share (package clipllama), where checkpoints are found (package models),
// training, decoding strategies or adapters.
package llava

import (
	"context"

	"lightbox/stdlib/models/clipllama"
	"lightbox/stdlib/models/model"
)

// Architecture is the name in a config.json's "architectures".
const Architecture = "LlavaForConditionalGeneration"

// kind is what sets LLaVA-1.5 apart.
var kind = &clipllama.Kind{
	Name: "llava", Architecture: Architecture, Processor: "LlavaProcessor",
	Layout: layout, Images: readImages, PadToSquare: padToSquare, Prompt: prompt, Tiny: Tiny,
}

// Family is LLaVA-1.5's line in the table of families.
func Family() model.Family { return kind.Family() }

// New builds a model from its config.json alone: to count, to match adapters' targets, to estimate.
func New(config []byte) (model.Model, error) { return kind.New(config) }

// Open loads the checkpoint in dir on the context's device.
func Open(ctx context.Context, dir string) (model.Model, error) { return kind.Open(ctx, dir) }

// Init makes the model that the files in dir, which needs no weights, describe, with random weights.
func Init(ctx context.Context, dir string, seed uint64) (model.Model, error) {
	return kind.Init(ctx, dir, seed)
}

// Check holds the weights in dir against its configuration, and the other files against each other.
func Check(dir string) error { return kind.Check(dir) }

// layout is one view of any image.
func layout(*clipllama.Config) (clipllama.Layout, error) {
	return func(int, int) (clipllama.Place, error) { return clipllama.Place{Views: 1}, nil }, nil
}

// prompt is that of LLaVA-1.5.
func prompt(_ *clipllama.Config, words string) string { return "USER: " + words + " ASSISTANT:" }
