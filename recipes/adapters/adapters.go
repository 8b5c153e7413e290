// Table 3. The adapters of the paper's eight vision-language models, and the three strategies that it compares on LLaVA v1.6.
//
//	title: What the paper's adapters train
package adapters

import (
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
)

// %% Table 3
//
// Every count is made on the module tree that the system's configuration describes; no weights are needed. The paper names
// no rank: it is the power of two whose count comes nearest to the published one.

var Table3 = lora.Count(models.Paper(models.ConfigOnly), lora.Paper())

// %% The strategies of Figures 6 and 7
//
// Targeted, extended and hybrid adaptation of LLaVA v1.6. The hybrids had the original's 32,000 tokens, where transformers'
// checkpoints have 32,064.

var mistral = models.Load("llava-hf/llava-v1.6-mistral-7b-hf", models.ConfigOnly).As("system", "LLaVA v1.6 Mistral 7B")

var vicuna = models.Load("llava-hf/llava-v1.6-vicuna-7b-hf", models.ConfigOnly).As("system", "LLaVA v1.6 Vicuna 7B")

var Strategies = lora.Count(models.Join(models.Cross(mistral, "strategy", "targeted", "extended", "hybrid"), models.Cross(vicuna, "strategy", "targeted", "hybrid")), lora.Strategies())
