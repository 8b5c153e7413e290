package score

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/score/encoders"
	"lightbox/stdlib/text"
	"lightbox/stdlib/text/tokenizer"
	"lightbox/stdlib/weights"
)

// BLEURTOptions change BLEURT.
type BLEURTOptions struct {
	// Checkpoint is a directory, or org/name of a repository in the Hugging Face cache, in the layout of bleurt-pytorch.
	// Default lucadiliello/BLEURT-20-D12, ImageCLEFmedical's.
	Checkpoint string `key:"local"`
}

const bleurtCheckpoint = "lucadiliello/BLEURT-20-D12"

// BLEURT is the learnt agreement of a caption with its reference (Sellam et al., 2020; Pu et al., 2021), as bleurt-pytorch
// 0.0.1 computes it under transformers 4.49: column bleurt, the head's raw output, around 0 for unrelated texts and 1 for
// equal ones, not bounded. Captions are prepared as the ImageCLEFmedical evaluator does (text.Prepare); the reference
// stands first. Pairs longer than 512 tokens lose the end of the longer text. Two
// empty captions have no special case: they get what the head makes of them.
//
// The checkpoint is read from the disk: BLEURT-20 and its distilled forms (SentencePiece) or bleurt-tiny, -base and -large
// (WordPiece). BLEURT-20-D12 has 0.7 GB.
func BLEURT(opts ...BLEURTOptions) Metric {
	b := bleurt{BLEURTOptions{Checkpoint: bleurtCheckpoint}}
	if len(opts) > 0 && opts[len(opts)-1].Checkpoint != "" {
		b.Opts.Checkpoint = opts[len(opts)-1].Checkpoint
	}
	return outputs(b, 0)
}

type bleurt struct{ Opts BLEURTOptions }

func (bleurt) op() (string, string) { return "score.BLEURT", "1" }
func (bleurt) kind() string         { return "weights" }

func (b bleurt) columns() []frame.Column {
	return []frame.Column{{Name: "bleurt", Kind: frame.Number, Title: "BLEURT",
		Note: "BLEURT as bleurt-pytorch 0.0.1 (" + filepath.Base(b.Opts.Checkpoint) + ", captions prepared as ImageCLEFmedical does)"}}
}

func (bleurt) needs() []string      { return nil }
func (bleurt) check() error         { return nil }
func (b bleurt) checkpoint() string { return b.Opts.Checkpoint }

// sentencePieces are the names that the SentencePiece model of a checkpoint has: bleurt-pytorch's, and Google's.
var sentencePieces = []string{"spm.model", "sent_piece.model"}

func (bleurt) files(path string) ([]string, error) {
	var lacks []string
	files := checkpoint.Present(path, "config.json")
	if len(files) == 0 {
		lacks = append(lacks, "config.json (of model_type \"bleurt\")")
	}
	tok := checkpoint.Present(path, append([]string{"tokenizer.json", "vocab.txt"}, sentencePieces...)...)
	if len(tok) == 0 {
		lacks = append(lacks, "a tokenizer (spm.model, tokenizer.json or vocab.txt)")
	}
	files = append(append(files, tok...), checkpoint.Present(path, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")...)
	stored, err := weights.Files(path)
	if err != nil {
		lacks = append(lacks, "its weights (pytorch_model.bin or model.safetensors)")
	}
	if len(lacks) > 0 {
		return files, fmt.Errorf("BLEURT's checkpoint %s lacks %s", path, strings.Join(lacks, " and "))
	}
	return append(files, stored...), nil
}

func (bleurt) cost(files []string) step.Cost {
	size := sizeOf(files)
	return step.Cost{ReadBytes: float64(size), PeakBytes: size + 512<<20, Note: "the checkpoint and a batch"}
}

func (b bleurt) run(in *input, path string) ([][]float64, error) {
	m, err := openBLEURT(in.ctx, path)
	if err != nil {
		return nil, err
	}
	defer m.close()
	keys := make([]string, len(in.refs))
	for i := range keys {
		keys[i] = text.Prepare(in.refs[i]) + "\xff" + text.Prepare(in.caps[i]) // no text has that byte
	}
	unique, at := distinct(keys)
	logits, err := pairLogits(in, m.e, len(unique), 1, func(i int) encoders.Text {
		ref, candidate, _ := strings.Cut(unique[i], "\xff")
		return m.pair(ref, candidate)
	})
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(at))
	for i, k := range at {
		out[i] = float64(logits[k])
	}
	return [][]float64{out}, nil
}

// bleurtModel is an open checkpoint.
type bleurtModel struct {
	e        *encoders.Encoder
	tok      *tokenizer.Tokenizer
	slow     bool // SentencePiece, which transformers runs in Python
	cls, sep int32
	close    func() error
}

func openBLEURT(ctx context.Context, dir string) (*bleurtModel, error) {
	path := filepath.Join(dir, "config.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := encoders.ParseConfig(raw)
	if err == nil && c.ModelType != "bleurt" {
		err = fmt.Errorf("model_type is %q; want bleurt", c.ModelType)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m := &bleurtModel{}
	if err := m.openTokenizer(dir, c.VocabSize); err != nil {
		return nil, err
	}
	a, err := weights.Open(dir)
	if err != nil {
		return nil, err
	}
	m.close = a.Close
	m.e, err = encoders.Load(ctx, bleurtSource(c, a))
	if err != nil {
		a.Close()
		return nil, err
	}
	return m, nil
}

// openTokenizer takes WordPiece's files where they are there, as bleurt-pytorch does, else SentencePiece's.
func (m *bleurtModel) openTokenizer(dir string, vocab int) error {
	var err error
	if fast := checkpoint.Present(dir, "tokenizer.json", "vocab.txt"); len(fast) > 0 {
		if m.tok, err = tokenizer.Load(dir); err != nil {
			return err
		}
	} else {
		found := checkpoint.Present(dir, sentencePieces...)
		if len(found) == 0 {
			return fmt.Errorf("BLEURT's checkpoint %s lacks a tokenizer", dir)
		}
		if m.tok, err = tokenizer.Load(found[0]); err != nil {
			return err
		}
		m.slow = true
	}
	if int(m.tok.MaxID()) >= vocab {
		return fmt.Errorf("%s: token id %d; config.json's vocab_size is %d: tokenizer of another model?", m.tok.Path(), m.tok.MaxID(), vocab)
	}
	added, err := addedIDs(filepath.Join(dir, "added_tokens.json"))
	if err != nil {
		return err
	}
	for name, id := range map[string]*int32{"[CLS]": &m.cls, "[SEP]": &m.sep} {
		var ok bool
		if *id, ok = m.tok.ID(name); ok {
			continue
		}
		if *id, ok = added[name]; !ok || *id < 0 || int(*id) >= vocab {
			return fmt.Errorf("%s: no token %s", m.tok.Path(), name)
		}
	}
	return nil
}

// addedIDs reads the tokens that a SentencePiece model itself does not have; there need be none.
func addedIDs(path string) (ids map[string]int32, err error) {
	raw, err := checkpoint.ReadOptional(path)
	if err != nil || raw == nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &ids); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ids, nil
}

// bleurtTokens is the longest pair that the evaluator lets through.
const bleurtTokens = 512

// pair is [CLS] reference [SEP] candidate [SEP], of segments 0 and 1.
func (m *bleurtModel) pair(reference, candidate string) encoders.Text {
	a, b := m.tok.Encode(reference, false), m.tok.Encode(candidate, false)
	cut := longestFirst
	if m.slow {
		cut = longestFirstSlow
	}
	n, k := cut(len(a), len(b), min(bleurtTokens, m.e.Config.Longest())-3)
	ids := slices.Concat([]int32{m.cls}, a[:n], []int32{m.sep}, b[:k], []int32{m.sep})
	types := make([]int32, len(ids))
	for i := n + 2; i < len(types); i++ {
		types[i] = 1
	}
	return encoders.Text{IDs: ids, Types: types}
}

func bleurtSource(c encoders.Config, a *safetensors.Archive) encoders.Source {
	return encoders.Source{Config: c, Weights: a, Prefix: "bleurt.", Head: "classifier", Labels: 1}
}
