// Quickstart: what LoRA teaches a small vision-language model about radiology-like images.
//
//	title: Quickstart on radiology phantoms
//	seed: 1
package quickstart

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
//
// Drawn phantoms in the styles of CT, MRI, radiograph and ultrasound. Everything in their captions is known truth.

var phantoms = data.Phantom(data.PhantomOptions{Train: param.Int("train", 2000, "training images"), Valid: 64, Test: param.Int("test", 64, "test images"), Seed: 1})

var test = phantoms.Split("test")

// %% Training
//
// The embedded checkpoint has only ever read everyday words. LoRA teaches it a radiologist's.

var base = models.Load(models.TinyLLaVA).As("system", "base")

var adapted = train.LoRA(base, phantoms, lora.Config{Rank: 16, Alpha: 32}, train.Config{Epochs: param.Int("epochs", 2, "passes over the training images"), BatchSize: 8, LR: 3e-3, Schedule: train.Cosine, WarmupRatio: 0.05}).As("system", "LoRA")

// %% Captions
//
// The same test images, with and without the modality in the prompt, and with each image exchanged for another one:
// what a caption still gets right then, it did not get from the image.

var greedy = generate.Greedy(64).Batch(64)

var both = models.Join(base, adapted)

var plain = generate.Captions(both, test, greedy).As("prompt", "plain")

var hinted = generate.Captions(both, test.WithModality(modality.Probe(base, phantoms)), greedy).As("prompt", "+Modality (probe)")

var shuffled = generate.Captions(adapted.As("system", "LoRA, images shuffled"), test.ShuffleImages(1), greedy).As("prompt", "plain")

var constant = score.BestConstant(phantoms, test).As("system", "best constant caption").As("prompt", "none")

// %% Result
//
// ROUGE mostly measures the template, which the constant caption has too. The components tell what was seen.

var scores = score.Captions(frame.Stack(plain, hinted, shuffled, constant), score.Offline())

var Table = table.New(scores, table.Rows("system", "prompt"))
