// Radsample: the main job on real radiology images, with the embedded checkpoint.
//
//	title: LoRA on 368 real radiology images
//	seed: 1
package radsample

import (
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/generate"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/param"
	"lightbox/stdlib/score"
	"lightbox/stdlib/table"
	"lightbox/stdlib/train"
)

// %% Data
//
// Any data set in ROCOv2's layout. White space and Unicode of its captions are normalised as in the paper's Figure 1.

var images = data.ROCOv2(param.Dir("rocov2", "data/rocov2", "folder with {train,valid,test}_captions.csv and the images")).Standardize(data.Standard{NormalizeText: true})

var test = images.Split("test")

// %% Training

var base = models.Load(param.String("model", "tiny-llava", "checkpoint: tiny-llava, a folder, or org/name in the Hugging Face cache")).As("system", "base")

var adapted = train.LoRA(base, images, lora.Config{Rank: 16, Alpha: 32}, train.Config{Epochs: param.Int("epochs", 6, "passes over the training images"), BatchSize: 8, LR: 2e-3, Schedule: train.Cosine, WarmupRatio: 0.05}).As("system", "LoRA")

// %% Captions

var greedy = generate.Greedy(param.Int("tokens", 160, "longest caption in tokens")).Batch(32)

var plain = generate.Captions(models.Join(base, adapted), test, greedy)

var shuffled = generate.Captions(adapted.As("system", "LoRA, images shuffled"), test.ShuffleImages(1), greedy)

var constant = score.BestConstant(images, test).As("system", "best constant caption")

// %% Result
//
// A classifier could learn the source instead of the modality here: every source of these images has one modality.

var scores = score.Captions(frame.Stack(plain, shuffled, constant), score.Offline())

var Table = table.New(scores, table.Rows("system"), table.CI(0.95), table.Versus("system", "base"))
