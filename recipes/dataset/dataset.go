// Table 1 and Figure 1. What the data set holds: modalities, images, captions, repetitions, and how both are standardised.
//
//	title: The data set
package dataset

import (
	"lightbox/stdlib/data"
	"lightbox/stdlib/inspect"
	"lightbox/stdlib/models"
	"lightbox/stdlib/paper"
	"lightbox/stdlib/param"
	"lightbox/stdlib/plot"
	"lightbox/stdlib/table"
)

// %% Data
//
// Any data set in ROCOv2's layout. Its images are decoded once, when they are measured below, and not while they are read.

var images = data.ROCOv2(param.Dir("rocov2", "data/rocov2", "folder with {train,valid,test}_captions.csv and the images"), data.ROCOOptions{TrustImages: true})

// %% Table 1
//
// Modalities by the manually curated concepts; where a set has none, by the automatic ones.

var modalities = data.Modalities(images)

var Table1 = table.New(modalities.Where("split == 'all'"), table.Rows("modality"),
	table.Title("Imaging modalities")).Beside(paper.Table1())

var Splits = table.New(modalities.Where("split != 'all'"), table.Rows("modality"), table.Group("split"),
	table.Title("Imaging modalities of the splits"))

// %% Images and captions

var statistics = data.Statistics(images)

var Images = table.New(table.Describe(statistics, []string{"width", "height", "megapixels", "aspect"}, "split"), table.Rows("quantity"), table.Group("split"),
	table.Columns("n", "min", "q1", "median", "mean", "q3", "max"), table.Digits(2), table.Title("Sizes of images in pixels"))

var Captions = table.New(table.Describe(statistics, []string{"words", "characters", "concepts"}, "split"), table.Rows("quantity"), table.Group("split"),
	table.Columns("n", "min", "q1", "median", "mean", "q3", "max"), table.Digits(1), table.Title("Lengths of captions, and their concepts"))

var Lengths = plot.Histogram(statistics, "words", plot.Group("split"), plot.Upto(150), plot.Caption("Caption lengths in words."))

// Captions in the terms of a model: what a limit on new tokens cuts off. The embedded model's words are few, so that it needs more
// tokens than others; name the model that is to be trained.

var tokens = inspect.Lengths(models.Load(param.String("model", "tiny-llava", "checkpoint that counts tokens: tiny-llava, a folder, or org/name in the Hugging Face cache")), images, "")

var Tokens = table.New(table.Describe(tokens, []string{"caption_tokens", "image_tokens", "tokens"}, "system", "split"), table.Rows("system", "quantity"), table.Group("split"),
	table.Columns("n", "min", "q1", "median", "mean", "q3", "max"), table.Digits(1), table.Title("Lengths in tokens"))

// %% What could mislead
//
// Shares of grey images, of captions that normalisation changes, and of what stands more than once: a caption or an image of
// the test split that is in training too measures memory.

var Repetitions = table.New(statistics, table.Rows("split"), table.Columns("grey", "normalized", "repeated_caption", "repeated_image", "caption_in_train", "image_in_train"), table.NoMarks(),
	table.Title("Shares of examples"))

var ByModality = table.New(table.Describe(statistics, []string{"words", "megapixels", "grey"}, "modality"), table.Rows("modality"), table.Group("quantity"),
	table.Columns("n", "q1", "median", "mean", "q3"), table.Digits(2), table.Title("By modality"))

// %% Figure 1
//
// An example of each modality as it was read and as it is standardised. The paper names the steps and no numbers; the numbers
// are this recipe's.

var standard = images.Standardize(data.Standard{LongestSide: param.Int("side", 512, "longest side of a standardised image in pixels"), Square: true, NormalizeText: true})

var Figure1 = data.Gallery(param.Int("examples", 1, "examples of each modality"), images, standard)
