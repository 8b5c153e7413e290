package score

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/score/encoders"
)

// BERTScoreCheckpoint is the encoder of the ImageCLEFmedical Caption evaluator.
const BERTScoreCheckpoint = "microsoft/deberta-xlarge-mnli"

// BERTScoreOptions change BERTScore. The zero value is what the ImageCLEFmedical Caption evaluator of 2025 computes.
type BERTScoreOptions struct {
	// Checkpoint is a BERT, RoBERTa or DeBERTa (v1): a directory, or org/name in the Hugging Face cache.
	// Default BERTScoreCheckpoint.
	Checkpoint string
	// Layer whose hidden states are compared, from 1; layers behind it are not run. Default: the one that bert_score
	// found best for the checkpoint, by its name.
	Layer int
	Part  Part // F1, Precision or Recall
	NoIDF bool // every token but the special ones weighs the same
	// Raw takes the captions as they are, as bert_score does by itself: without the evaluator's preparation (lower case,
	// digits to "number", no ASCII punctuation), and two empty captions score 0, not 1.
	Raw bool
	// Baseline rescales: (x − baseline)/(1 − baseline). Its values stand in bert_score's rescale_baseline files.
	Baseline BERTScoreBaseline
	// NoPrefixSpace leaves out the space that bert_score puts before a text for RoBERTa. It does so under
	// transformers 4 and cannot under 5; BERT and DeBERTa get none under either.
	NoPrefixSpace bool
}

// BERTScoreBaseline is what BERTScore gives to unrelated sentences.
type BERTScoreBaseline struct{ Precision, Recall, F1 float64 }

func (b BERTScoreBaseline) of(p Part) float64 {
	return [...]float64{F1: b.F1, Precision: b.Precision, Recall: b.Recall}[p]
}

// bertscore is BERTScore as a network: three columns, by Part.
type bertscore struct {
	Model         string // the checkpoint's name without its place
	Layer         int    // 0: not known
	NoIDF, Raw    bool
	Baseline      BERTScoreBaseline
	NoPrefixSpace bool
	Odd           Part   // one that there is not, to be refused
	Ref           string `key:"local"` // the checkpoint
}

// BERTScore is the greedy matching of contextual token embeddings (Zhang et al., 2020), as bert_score 0.3.13 computes it:
// column bertscore, with the options' names behind it where they differ from the default (bertscore_p, bertscore_noidf).
//
// The weights of tokens, idf, count every reference of the frame once however many systems were run on it, so that a
// score does not depend on which systems stand beside each other. Texts are cut where the checkpoint's tokenizer cuts
// them (model_max_length), else at the encoder's last position. Where a token resembles no token of the other text,
// bert_score counts 0 or the negative similarity, by how long the other texts of its batch are; here it is always the
// similarity. An empty caption scores 0, and 1 if both are empty before they are prepared.
func BERTScore(opts ...BERTScoreOptions) Metric {
	var o BERTScoreOptions
	if len(opts) > 0 {
		o = opts[len(opts)-1]
	}
	if o.Checkpoint == "" {
		o.Checkpoint = BERTScoreCheckpoint
	}
	b := bertscore{Model: modelName(o.Checkpoint), Layer: o.Layer, NoIDF: o.NoIDF, Raw: o.Raw, Baseline: o.Baseline,
		NoPrefixSpace: o.NoPrefixSpace, Ref: o.Checkpoint}
	if o.Layer == 0 {
		b.Layer = bestLayer(b.Model)
	}
	if o.Part > Recall {
		b.Odd, o.Part = o.Part, F1
	}
	return outputs(b, int(o.Part))
}

// parts are the columns of bertscore, by Part.
var parts = []struct{ suffix, title, name string }{
	F1: {"", "BERTScore", "F1"}, Precision: {"_p", "BERTScore P", "precision"}, Recall: {"_r", "BERTScore R", "recall"},
}

// modelName is how a checkpoint is called: org/name of a repository, also of one named by its directory in the cache; else
// the last element of its path.
func modelName(ref string) string {
	elements := strings.FieldsFunc(filepath.ToSlash(ref), func(r rune) bool { return r == '/' })
	for _, e := range elements {
		if repo, ok := strings.CutPrefix(e, "models--"); ok {
			return strings.Replace(repo, "--", "/", 1)
		}
	}
	if n := len(elements); n == 2 && !strings.HasPrefix(ref, "/") && !strings.HasPrefix(ref, ".") && !strings.HasPrefix(ref, "~") {
		name, _, _ := strings.Cut(elements[1], "@")
		return elements[0] + "/" + name
	} else if n > 0 {
		return elements[n-1]
	}
	return ref
}

func (bertscore) op() (name, version string) { return "score.BERTScore", "1" }
func (bertscore) kind() string               { return "weights" }

func (b bertscore) columns() []frame.Column {
	suffix, how := "", []string{b.Model, fmt.Sprintf("layer %d", b.Layer)}
	if b.Model != BERTScoreCheckpoint {
		suffix += "_" + identifier(b.Model[strings.LastIndex(b.Model, "/")+1:])
	}
	if best := bestLayer(b.Model); best != 0 && b.Layer != best {
		suffix += fmt.Sprintf("_l%d", b.Layer)
	}
	add := func(yes bool, name, is, isNot string) {
		if yes {
			suffix += name
			isNot = is
		}
		if isNot != "" {
			how = append(how, isNot)
		}
	}
	add(b.NoIDF, "_noidf", "no idf", "idf over the references")
	add(b.Raw, "_raw", "captions as they are", "captions prepared as ImageCLEFmedical does")
	add(b.NoPrefixSpace, "_noprefix", "no prefix space", "")
	add(b.Baseline != BERTScoreBaseline{}, "_rescaled", fmt.Sprintf("rescaled with the baseline P %g, R %g, F %g", b.Baseline.Precision, b.Baseline.Recall, b.Baseline.F1), "")
	var out []frame.Column
	for _, p := range parts {
		out = append(out, frame.Column{Name: "bertscore" + p.suffix + suffix, Kind: frame.Number, Title: p.title,
			Note: "BERTScore as bert_score 0.3.13 (" + p.name + ", " + strings.Join(how, ", ") + ")"})
	}
	return out
}

// identifier is a name as part of a column's.
func identifier(s string) string {
	return strings.Map(func(r rune) rune {
		if r = unicode.ToLower(r); 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, s)
}

func (bertscore) needs() []string { return nil }

func (b bertscore) check() error {
	switch {
	case b.Odd != 0:
		return fmt.Errorf("BERTScore: unknown part %d (want score.F1, Precision or Recall)", b.Odd)
	case b.Layer < 0:
		return fmt.Errorf("BERTScore: layer %d; want one from 1, or 0 for the checkpoint's best", b.Layer)
	case b.Layer == 0:
		return fmt.Errorf("BERTScore: bert_score names no layer for %q; give one: score.BERTScoreOptions{Checkpoint: %q, Layer: …}", b.Model, b.Ref)
	}
	for p := range parts {
		if x := b.Baseline.of(Part(p)); x >= 1 || x < -1 {
			return fmt.Errorf("BERTScore: the baseline of the %s is %g; want one below 1", parts[p].name, x)
		}
	}
	return nil
}

func (b bertscore) checkpoint() string                { return b.Ref }
func (bertscore) files(path string) ([]string, error) { return encoders.Files(path) }
func (bertscore) tiny(dir string) error               { return encoders.TinyDeBERTa(dir) }

// cost cannot know the number of texts: what is sure are the weights and the embeddings that are held.
func (bertscore) cost(files []string) step.Cost {
	size := sizeOf(files)
	return step.Cost{ReadBytes: float64(size), PeakBytes: size + heldBytes, Note: "the texts are not counted"}
}
