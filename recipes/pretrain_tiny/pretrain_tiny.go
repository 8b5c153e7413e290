// Pretraining of the checkpoint that is embedded in the binary.
//
//	title: Pretraining of tiny-llava
//	seed: 1
package pretrain_tiny

import (
	"lightbox/stdlib/data"
	"lightbox/stdlib/modality"
	"lightbox/stdlib/models"
	"lightbox/stdlib/param"
	"lightbox/stdlib/train"
)

// %% Data
//
// Phantoms described in everyday words, a quarter of them with their modality said in the prompt; questions about words
// and random sentences in the language of case reports, without a picture. The radiology captions serve the tokenizer only:
// no model sees them here.

var plain = data.Phantom(data.PhantomOptions{Train: 18000, Valid: 400, Seed: 100, Captions: data.Plain, Glossary: 2000, Reports: 8000})

var named = data.Phantom(data.PhantomOptions{Train: 6000, Seed: 102, Captions: data.Plain}).WithModality(modality.True())

var lessons = data.Join(plain, named)

var radiology = data.Phantom(data.PhantomOptions{Train: 4000, Seed: 101})

// %% Model
//
// A LLaVA of three million parameters: small enough to embed in bfloat16, large enough to see and to speak.

var scratch = models.New(models.Config{
	Vision:    models.VisionConfig{HiddenSize: 128, NumHiddenLayers: 5, NumAttentionHeads: 4, ImageSize: 64, PatchSize: 8},
	Text:      models.TextConfig{HiddenSize: 192, NumHiddenLayers: 5, NumAttentionHeads: 6, TieWordEmbeddings: true},
	VocabSize: 1000,
	Prompts:   []string{"Describe the image.", "CT: ", "MRI: ", "Radiograph: ", "Ultrasound: "},
}, plain, radiology)

// %% First it learns to see
//
// Heads for every attribute of the drawing on the vision tower; without this stage the captions below never come to
// depend on the details of the picture.

var seeing = train.Attributes(scratch, lessons.Where("image != ''"), train.Config{Epochs: param.Int("seeing", 4, "passes that teach the vision tower"), BatchSize: 32, LR: 1e-3, Schedule: train.Cosine, WarmupRatio: 0.03},
	"modality", "plane", "anatomy", "finding", "side", "marker", "size", "column", "row")

// %% Then to speak

var speaking = train.Full(seeing, lessons, train.Config{Epochs: param.Int("speaking", 1, "passes that teach the whole model"), BatchSize: 32, LR: 1e-3, Schedule: train.Cosine, WarmupRatio: 0.03})

// %% The checkpoint

var Checkpoint = models.Export(speaking, models.ExportOptions{DType: "bf16"})
