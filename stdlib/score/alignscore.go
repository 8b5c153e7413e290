package score

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/score/encoders"
	"lightbox/stdlib/text/punkt"
)

// AlignScoreOptions change AlignScore.
type AlignScoreOptions struct {
	// Checkpoint is a .ckpt file of PyTorch Lightning, or a directory or a repository in the Hugging Face cache with one.
	// Default yzha/AlignScore.
	Checkpoint string `key:"local"`
	// File is the one that is meant where there are several. Default AlignScore-base.ckpt, ImageCLEFmedical's.
	File string `key:"local"`
	// Tokenizer is a directory or a repository in the Hugging Face cache with RoBERTa's tokenizer, which a .ckpt does not
	// hold. Default: what lies beside the .ckpt, else roberta-base or roberta-large, which have the same, from the cache.
	Tokenizer string `key:"local"`
}

const (
	alignRepository = "yzha/AlignScore"
	alignFile       = "AlignScore-base.ckpt"
)

// AlignScore is how far a reference entails its caption (Zha et al., 2023), as AlignScore's own code computes it in the mode
// nli_sp under transformers 4.49 and NLTK 3.9.1: column alignscore, between 0 and 1. The reference, the context, is cut into
// chunks of some 350 words at the ends of sentences, the caption into sentences; each pair of them gets the share of the class
// "aligned", a sentence the best of its chunks, the caption the mean of its sentences. The captions stand as they are.
//
// Two empty captions score 1, as in the ImageCLEFmedical evaluator. A caption without a sentence otherwise, on which the
// reference implementation fails, scores 0; the log tells how many there were.
//
// The checkpoint is read from the disk. AlignScore-base has 0.5 GB of weights, -large 1.4 GB.
func AlignScore(opts ...AlignScoreOptions) Metric {
	var a alignscore
	if len(opts) > 0 {
		a.Opts = opts[len(opts)-1]
	}
	if a.Opts.Checkpoint == "" {
		a.Opts.Checkpoint = alignRepository
	}
	return outputs(a, 0)
}

type alignscore struct{ Opts AlignScoreOptions }

func (alignscore) op() (string, string) { return "score.AlignScore", "1" }
func (alignscore) kind() string         { return "weights" }

func (a alignscore) columns() []frame.Column {
	name := a.Opts.File
	if name == "" {
		name = alignFile
		if filepath.Ext(a.Opts.Checkpoint) == ".ckpt" {
			name = filepath.Base(a.Opts.Checkpoint)
		}
	}
	return []frame.Column{{Name: "alignscore", Kind: frame.Number, Title: "AlignScore",
		Note: "AlignScore as its own code in the mode nli_sp (" + strings.TrimSuffix(name, ".ckpt") + ")"}}
}

func (alignscore) needs() []string      { return nil }
func (alignscore) check() error         { return nil }
func (a alignscore) checkpoint() string { return a.Opts.Checkpoint }

func (a alignscore) files(path string) ([]string, error) {
	f, err := a.locate(path, false)
	return f.all, err
}

func (alignscore) cost(files []string) step.Cost {
	size := sizeOf(files)
	return step.Cost{ReadBytes: float64(size), PeakBytes: size + 512<<20, Note: "the checkpoint and a batch"}
}

func (a alignscore) run(in *input, path string) ([][]float64, error) {
	m, err := a.open(in.ctx, path, in.ctx.Rehearse)
	if err != nil {
		return nil, err
	}
	defer m.close()
	sentences, err := punkt.English()
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(in.refs))
	for i := range keys {
		keys[i] = fmt.Sprint(len(in.refs[i]), " ", in.refs[i], in.caps[i])
	}
	_, at := distinct(keys)
	var all []*alignPair
	claimless := 0
	for i, k := range at {
		if k == len(all) { // its first row
			all = append(all, newAlignPair(sentences, in.refs[i], in.caps[i]))
		}
		if len(all[k].claims) == 0 && !all[k].empty {
			claimless++
		}
	}
	if claimless > 0 {
		in.ctx.Logf("AlignScore: %d captions without a sentence, on which AlignScore's own code fails, score 0", claimless)
	}
	values, err := m.scores(in, all)
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(at))
	for i, k := range at {
		out[i] = values[k]
	}
	return [][]float64{out}, nil
}

// alignPair is a reference and a caption, cut up.
type alignPair struct {
	chunks, claims []string
	empty          bool // both are
}

func newAlignPair(p *punkt.Params, reference, caption string) *alignPair {
	return &alignPair{chunks: alignChunks(p.Sentences(reference), reference), claims: p.Sentences(caption), empty: reference == "" && caption == ""}
}

// alignChunkWords is about how many words a chunk of the context has.
const alignChunkWords = 350

// alignChunks joins the sentences of a text to chunks; there may be more than one for each 350 words.
func alignChunks(sentences []string, text string) []string {
	if len(sentences) == 0 {
		return []string{""}
	}
	words := len(strings.FieldsFunc(text, punkt.IsSpace))
	n := max(len(sentences)/(words/alignChunkWords+1), 1)
	var out []string
	for lo := 0; lo < len(sentences); lo += n {
		out = append(out, strings.Join(sentences[lo:min(lo+n, len(sentences))], " "))
	}
	return out
}

// items is the number of pairs of a chunk and a sentence.
func (p *alignPair) items() int { return len(p.chunks) * len(p.claims) }

// score is the mean over the sentences of the best of their chunks; share gives that of an item, chunk by chunk.
func (p *alignPair) score(share func(i int) float64) float64 {
	switch {
	case p.empty:
		return 1
	case len(p.claims) == 0:
		return 0
	}
	sum := 0.0
	for j := range p.claims {
		best := 0.0
		for i := range p.chunks {
			best = max(best, share(i*len(p.claims)+j))
		}
		sum += best
	}
	return sum / float64(len(p.claims))
}

// firstShare is the first value of the softmax.
func firstShare(logits []float32) float64 {
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l) - float64(logits[0]))
	}
	return 1 / sum
}

// scores runs the network over the items of all pairs. Short items, which are never cut, that stand in several pairs are
// judged once: systems that describe the same image often begin with the same sentence.
func (m *alignModel) scores(in *input, all []*alignPair) ([]float64, error) {
	type item struct{ pair, at int }
	var items []item
	seen := map[string]int{}
	where := make([][]int, len(all)) // of each pair's items in items
	for k, p := range all {
		for i := range p.items() {
			at := len(items)
			chunk, claim := p.chunks[i/len(p.claims)], p.claims[i%len(p.claims)]
			if len(chunk)+len(claim) <= alignTokens-4 { // a token has a byte at least
				key := fmt.Sprint(len(chunk), " ", chunk, claim)
				if old, ok := seen[key]; ok {
					where[k] = append(where[k], old)
					continue
				}
				seen[key] = at
			}
			items = append(items, item{k, i})
			where[k] = append(where[k], at)
		}
	}
	var current []encoders.Text // of the pair that was asked last
	of := -1
	logits, err := pairLogits(in, m.e, len(items), 3, func(i int) encoders.Text {
		if items[i].pair != of {
			of = items[i].pair
			current = m.texts(all[of])
		}
		return current[items[i].at]
	})
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(all))
	for k, p := range all {
		out[k] = p.score(func(i int) float64 { return firstShare(logits[3*where[k][i]:][:3]) })
	}
	return out, nil
}
