// Score: captions that any tool wrote, measured against reference captions.
//
//	title: Scores of submitted captions
//	seed: 1
package score

import (
	"strings"

	"lightbox/stdlib/data"
	"lightbox/stdlib/param"
	"lightbox/stdlib/score"
	"lightbox/stdlib/table"
)

// %% Captions
//
// One system per file of predictions, in the order of the reference file.

var predictions = param.String("predictions", "", "files of predicted captions, separated as in PATH; each is a system")

var submitted = data.Submissions(param.Path("reference", "", "file of reference captions: ID,Caption"), predictions, data.SubmissionOptions{
	Images:     param.Dir("images", "", "folder with the images, named by ID, for metrics that look at them"),
	AllowEmpty: param.Bool("allow_empty", false, "accept empty captions in predictions"),
})

// %% Metrics
//
// The defaults of the checkpoints are those of ImageCLEFmedical Caption 2025; a folder, or org/name in the Hugging Face
// cache, takes their place.

var metrics = param.String("metrics", "offline,-modality_accuracy,modality_named", "offline, imageclef, or metrics by name, separated by commas; -name leaves one out")

var measures = score.Named(metrics, score.ImageCLEFOptions{
	Similarity: score.SimilarityOptions{Checkpoint: param.String("similarity", "", "checkpoint of the similarity")},
	BERTScore: score.BERTScoreOptions{
		Checkpoint: param.String("bertscore", "", "checkpoint of BERTScore"),
		Layer:      param.Int("bertscore_layer", 0, "its layer, for a checkpoint that bert_score does not know"),
	},
	BLEURT:     score.BLEURTOptions{Checkpoint: param.String("bleurt", "", "checkpoint of BLEURT")},
	AlignScore: score.AlignScoreOptions{Checkpoint: param.String("alignscore", "", "checkpoint of AlignScore")},
	ConceptF1:  score.ConceptOptions{Dictionary: param.Dir("umls", "", "folder of a UMLS release for concept F1, in place of the open dictionary")},
})

// Captions has the scores of every caption.

var Captions = score.Captions(submitted, measures)

// %% Result
//
// Means with intervals; of several systems, their paired differences from the first, tested and corrected after Holm.

var Table = table.New(Captions, table.Rows("system"), table.CI(0.95), layout(metrics), against(data.Systems(predictions)))

// layout is the paper's for its six metrics.
func layout(metrics string) table.Option {
	if strings.Contains(strings.ToLower(metrics), "imageclef") {
		return table.Paper4()
	}
	return table.Options()
}

func against(systems []string) table.Option {
	if len(systems) < 2 {
		return table.Options()
	}
	return table.Versus("system", systems[0])
}

// %% Components
//
// What captions and references say of modality, findings, anatomy, laterality, markers and measurements: in colours, and
// counted. lightbox score shows them when asked to (--only Coloured,Components).

var Coloured = score.Components(submitted)

var Components = table.New(Coloured.Counts(), table.Rows("system"), table.Group("component"), table.Components(), table.CI(0.95))
