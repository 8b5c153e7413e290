// Table 4. Eight vision-language models with LoRA adapters and two baselines trained in full, by six metrics.
//
//	title: Cross-model comparison on ROCOv2
//	seed: 1
package comparison

import (
	"lightbox/stdlib/data"
	"lightbox/stdlib/generate"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/param"
	"lightbox/stdlib/paper"
	"lightbox/stdlib/plot"
	"lightbox/stdlib/score"
	"lightbox/stdlib/table"
	"lightbox/stdlib/train"
)

// %% Data

var roco = data.ROCOv2(param.Dir("rocov2", "data/rocov2", "folder with {train,valid,test}_captions.csv and the images")).Standardize(data.Standard{NormalizeText: true})

var adapted = train.LoRA(models.Paper(), roco, lora.Paper(), train.Paper())

var baselines = train.Progressive(models.Join(models.Tiny("visiongpt2").As("system", "VisionGPT2").As("group", "baseline"), models.Tiny("cnntransformer").As("system", "CNN–Transformer Fusion").As("group", "baseline")), roco, train.Config{Epochs: 10})

var captions = generate.Captions(models.Join(adapted, baselines), roco.Split("test"), generate.Greedy(64).Batch(16))

var scores = score.Captions(captions, score.Similarity(), score.BERTScore(), score.ROUGE1(), score.BLEURT(), score.ConceptF1(), score.AlignScore())

var Table4 = table.New(scores, table.Rows("system"), table.Group("group"), table.Paper4()).Beside(paper.Table4())

// %% Figure 8

var Figure8 = plot.Bars(Table4, []string{"overall"}, plot.Baseline("VisionGPT2"), plot.Sorted())

// %% Figure 9

var Figure9 = plot.Scatter(Table4, "relevance", "factuality", plot.Fit())
