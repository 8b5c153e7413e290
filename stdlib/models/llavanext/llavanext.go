// Package llavanext is the LLaVA-1.6 family (LLaVA-NeXT; Liu et al., 2024) on Mistral and Vicuna, as
// transformers/models/llava_next computes it: an image is seen whole and in tiles, and what its tokens show is the whole
// view followed by the tiles stitched to a picture, a newline behind each line.
//
// It knows resolutions, tiles, padding and the order of the rows, and how a checkpoint without a chat template is asked.
// It does not know the network, which all versions of LLaVA share (package clipllama), where checkpoints are found
// (package models), training, decoding strategies or adapters.
package llavanext

import (
	"lightbox/stdlib/models/clipllama"
	"lightbox/stdlib/models/model"
)

// Architecture is the name in a config.json's "architectures".
const Architecture = "LlavaNextForConditionalGeneration"

// kind is what sets LLaVA-1.6 apart.
var kind = &clipllama.Kind{
	Name: "llava_next", Architecture: Architecture, Processor: "LlavaNextProcessor", Newline: true, ImageSize: [2]int{512, 512},
	Layout: layout, Images: readImages, Prompt: prompt, Tiny: Tiny,
}

// Family is LLaVA-1.6's line in the table of families.
func Family() model.Family { return kind.Family() }

// prompt is the one of the decoder that a checkpoint was trained on: Mistral's of instructions, or Vicuna's conversation.
func prompt(c *clipllama.Config, words string) string {
	if c.Text.ModelType == "mistral" {
		return "[INST] " + words + " [/INST]"
	}
	return "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, " +
		"and polite answers to the human's questions. USER: " + words + " ASSISTANT:"
}
