// Figures 6 and 7. How much of LLaVA v1.6 an adapter should change: three strategies on Mistral 7B, two on Vicuna 7B.
//
//	title: Targeted, extended and hybrid adaptation
//	seed: 1
package strategies

import (
	"lightbox/stdlib/data"
	"lightbox/stdlib/generate"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/paper"
	"lightbox/stdlib/param"
	"lightbox/stdlib/plot"
	"lightbox/stdlib/score"
	"lightbox/stdlib/table"
	"lightbox/stdlib/train"
)

// %% Data
//
// As in the comparison: the longest captions, 3 of ROCO's 8,180, are not learnt from.

var roco = data.ROCOv2(param.Dir("rocov2", "data/rocov2", "folder with {train,valid,test}_captions.csv and the images")).Standardize(data.Standard{NormalizeText: true})

var lessons = roco.Where("split == 'test' || len(caption) <= 1000")

// %% Systems
//
// The same base under each strategy. Adapters of one base read it together where they can; the hybrids, which train the
// base's own head and embeddings, train alone. One image in a pass, so that a training fits into 80 GB.

var mistral = models.Load("llava-hf/llava-v1.6-mistral-7b-hf").As("system", "LLaVA v1.6 Mistral 7B")

var vicuna = models.Load("llava-hf/llava-v1.6-vicuna-7b-hf").As("system", "LLaVA v1.6 Vicuna 7B")

var bases = models.Join(models.Cross(mistral, "strategy", "targeted", "extended", "hybrid"), models.Cross(vicuna, "strategy", "targeted", "hybrid"))

var adapted = train.LoRA(bases, lessons, lora.Strategies(), train.Config{Epochs: 1, BatchSize: 1, GradAccumSteps: 16, LR: 2e-4, Schedule: train.Cosine, WarmupRatio: 0.03})

// %% Budgets
//
// Counted on the module trees, before anything trains.

var Budgets = table.New(train.Budget(adapted), table.Rows("system", "strategy"), table.Columns("trained", "percent"), table.Title("Trainable parameters of the strategies")).Beside(paper.Budgets())

// %% Captions and their scores

var captions = generate.Captions(adapted, roco.Split("test"), generate.Greedy(param.Int("tokens", 64, "longest caption in tokens")).Batch(8))

var scores = score.Captions(captions, score.ImageCLEF())

// %% The strategies beside the published numbers
//
// Changes are relative to the targeted adapter of the same base.

var metrics = []string{"similarity", "bertscore", "rouge1", "bleurt", "concept_f1", "alignscore"}

var Strategies = table.New(scores, table.Rows("system", "strategy"), table.Columns("similarity", "bertscore", "rouge1", "bleurt", "concept_f1", "alignscore"), table.Change("strategy", "targeted"), table.Title("Adaptation strategies of LLaVA v1.6")).Beside(paper.Strategies())

// %% Figure 6

var Figure6 = plot.Bars(table.New(scores.Where("system == 'LLaVA v1.6 Mistral 7B'"), table.Rows("strategy")), metrics, plot.Name("strategy"), plot.PageWide(),
	plot.Caption("LLaVA v1.6 Mistral 7B under three strategies of adaptation."))

// %% Figure 7

var Figure7 = plot.Bars(table.New(scores.Where("system == 'LLaVA v1.6 Vicuna 7B'"), table.Rows("strategy")), metrics, plot.Name("strategy"), plot.PageWide(),
	plot.Caption("LLaVA v1.6 Vicuna 7B under two strategies of adaptation."))
