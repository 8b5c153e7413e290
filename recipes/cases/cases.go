// Tables 6 and 7, Figures 10 and 11. What ten systems say of single test images, component by component.
//
//	title: Cases
//	seed: 1
package cases

import (
	"lightbox/stdlib/data"
	"lightbox/stdlib/generate"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/paper"
	"lightbox/stdlib/param"
	"lightbox/stdlib/score"
	"lightbox/stdlib/table"
	"lightbox/stdlib/train"
)

// %% The paper's captions
//
// Tables 6 and 7 as published, their components found by the lexicon and coloured; in bold what the ground truth says too.

var Table6 = score.Components(paper.Cases().At("Table 6"))

var Table7 = score.Components(paper.Cases().At("Table 7"))

var PublishedComponents = table.New(score.Components(paper.Cases()).Counts(), table.Rows("system", "component"), table.Components(), table.Title("Components of the published captions"))

// %% The systems
//
// Trained as for Table 4: steps that recipes/comparison has run are not run again.

var roco = data.ROCOv2(param.Dir("rocov2", "data/rocov2", "folder with {train,valid,test}_captions.csv and the images")).Standardize(data.Standard{NormalizeText: true})

var lessons = roco.Where("split == 'test' || len(caption) <= 1000")

var adapted = train.LoRA(models.Paper(), lessons, lora.Paper(), train.Config{Epochs: 1, BatchSize: 1, GradAccumSteps: 16, LR: 2e-4, Schedule: train.Cosine, WarmupRatio: 0.03})

var baselines = train.Progressive(models.Baselines(lessons), lessons, train.Config{Epochs: param.Int("epochs", 9, "epochs of the baselines"), BatchSize: 16, LR: 1e-4, Schedule: train.Cosine, WarmupRatio: 0.03})

var systems = models.Join(adapted, baselines)

var greedy = generate.Greedy(param.Int("tokens", 64, "longest caption in tokens")).Batch(16)

// %% Figures 10 and 11
//
// The paper does not name the files of its two images. These are the first of the test split like them; another filter, or
// id == '…', chooses others.

var test = roco.Split("test")

var images = param.Int("images", 1, "images of each kind")

var chest = test.Where(param.String("chest", `modality == 'Radiograph' && caption matches '(?i)right.*pleural effusion.*arrow'`, "filter for the radiograph, by caption, modality or id")).Take(images)

var ct = test.Where(param.String("ct", `modality == 'CT' && caption matches '(?i)pericardial effusion.*[0-9] ?(mm|cm)'`, "filter for the CT, by caption, modality or id")).Take(images)

var Figure10 = score.Components(generate.Captions(systems, chest, greedy))

var Figure11 = score.Components(generate.Captions(systems, ct, greedy))

// %% Two images prove nothing
//
// The same components over a sample of the test split: precision, recall and F1 of each, and the captions of one system that
// are farthest from their references and nearest to them.

var captions = generate.Captions(systems, test.Sample(param.Int("sample", 200, "test images in the sample"), 1), greedy)

var Components = table.New(score.Components(captions).Counts(), table.Rows("system", "component"), table.Group("group"), table.Components(), table.Title("Components over a sample of the test split"))

var one = score.Captions(captions, score.Offline()).Where("system == '" + param.String("system", "LLaVA v1.6 Mistral 7B", "system whose captions are searched") + "'")

var metric = param.String("metric", "rouge1", "metric by which captions are searched")

var Farthest = score.Components(one.Worst(metric, 3))

var Nearest = score.Components(one.Best(metric, 3))
