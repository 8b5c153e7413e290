// Table 5. Whether a small vision-language model captions better when the prompt names the image's modality.
//
//	title: Modality-aware prompting
//	seed: 1
package modality

import (
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/generate"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/modality"
	"lightbox/stdlib/models"
	"lightbox/stdlib/paper"
	"lightbox/stdlib/param"
	"lightbox/stdlib/plot"
	"lightbox/stdlib/score"
	"lightbox/stdlib/table"
	"lightbox/stdlib/train"
)

// %% Data

var roco = data.ROCOv2(param.Dir("rocov2", "data/rocov2", "folder with {train,valid,test}_captions.csv and the images")).Standardize(data.Standard{NormalizeText: true})

var test = roco.Split("test")

// %% The classifier
//
// A ResNet-50 that began on ImageNet, fine-tuned on the modalities of the training split. The paper states no settings for
// it; these are usual ones. It never sees the test split.

var Classifier = modality.ResNet50(param.String("resnet", "timm/resnet50.tv_in1k", "torchvision's resnet50: a file, a folder, or org/name in the Hugging Face cache; empty for random weights"), roco,
	train.Config{Epochs: param.Int("resnet_epochs", 5, "passes of the classifier over the training images"), BatchSize: 32, LR: 1e-4, WeightDecay: 1e-4, Schedule: train.Cosine, WarmupRatio: 0.05, KeepBest: true})

var Confusion = Classifier.Confusion(test)

var ConfusionMatrix = plot.Confusion(Confusion, plot.Caption("Modalities of the test split, true and as the classifier names them."))

// %% Adapters
//
// The three small models of Table 5 with the paper's adapters. They are trained without modalities: the label joins the prompt
// at inference time only, as in the paper. These are the trainings of recipes/comparison: where that has run, they are cached.

var smolVLM = models.Load("HuggingFaceTB/SmolVLM-500M-Instruct").As("system", "SmolVLM-500M-Instruct")

var qwen2 = models.Load("Qwen/Qwen2-VL-2B-Instruct").As("system", "Qwen 2-VL")

var qwen25 = models.Load("Qwen/Qwen2.5-VL-3B-Instruct").As("system", "Qwen 2.5-3B-Instruct")

var lessons = roco.Where("split == 'test' || len(caption) <= 1000")

var adapted = train.LoRA(models.Join(smolVLM, qwen2, qwen25), lessons, lora.Paper(), train.Config{Epochs: 1, BatchSize: 1, GradAccumSteps: 16, LR: 2e-4, Schedule: train.Cosine, WarmupRatio: 0.03})

// %% Captions
//
// Besides the base prompt and the predicted modality of the paper: the true one, which a perfect classifier would give, and a
// wrong one. What the wrong label costs is how much the model trusts the prompt more than the image.

var greedy = generate.Greedy(param.Int("tokens", 64, "longest caption in tokens")).Batch(16)

var base = generate.Captions(adapted, test, greedy).As("configuration", "Base")

var predicted = generate.Captions(adapted, test.WithModality(Classifier), greedy).As("configuration", "+Modality")

var truth = generate.Captions(adapted, test.WithModality(modality.True()), greedy).As("configuration", "+Modality (true)")

var wrong = generate.Captions(adapted, test.WithModality(modality.Wrong(1)), greedy).As("configuration", "+Modality (wrong)")

var scores = score.Captions(frame.Stack(base, predicted, truth, wrong), score.ImageCLEF(), score.Modality())

// %% Table 5

var Table5 = table.New(scores.Where("configuration in ['Base', '+Modality']"), table.Rows("system", "configuration"), table.Paper4(), table.Change("configuration", "Base"),
	table.Title("Modality-aware prompting")).Beside(paper.Table5())

// %% What the paper leaves open
//
// Each prompt against the base prompt, paired by image, with the share of captions that name the image's true modality.

var Ablation = table.New(scores, table.Rows("system", "configuration"), table.Columns("bertscore", "rouge1", "concept_f1", "alignscore", "modality_accuracy"),
	table.Versus("configuration", "Base"), table.Title("True, predicted, wrong and no modality in the prompt"))
