package dual

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/text/tokenizer"
	"lightbox/stdlib/vision"
	"lightbox/stdlib/weights"
)

// Encoder is a loaded checkpoint. It is safe for concurrent use.
type Encoder struct {
	Kind   string // CLIP, BiomedCLIP or MedImageInsight
	Dim    int    // of the space
	Tok    *tokenizer.Tokenizer
	Tokens int // the most of a text, special tokens included

	net     towers
	process processor
	clean   func(string) string
	dev     *tensor.Device
}

// towers are the two networks.
type towers interface {
	// images maps pixels (B, 3, H, W) into the space, (B, Dim).
	images(pixels *tensor.Tensor) *tensor.Tensor
	// texts maps texts, ids one after another and text i from starts[i] to starts[i+1], into the space: (texts, Dim).
	texts(tape *tensor.Tape, ids []int32, starts []int) *tensor.Tensor
}

// processor makes pixels of an image.
type processor interface {
	Process(*vision.Image) (vision.Pixels, error)
}

// layout is one way in which checkpoints are published.
type layout struct {
	kind string
	mark string // the file that tells it
	// open reads what the checkpoint says; the weights of the network are then loaded from the archive.
	open func(dir string) (*opened, error)
	// beside lists the files, besides the weights, that open reads.
	beside func(dir string) ([]string, error)
}

// opened is an encoder whose network has no weights yet.
type opened struct {
	Encoder
	archive *safetensors.Archive
	names   model.Names
}

func layouts() []layout {
	return []layout{
		{BiomedCLIP, "open_clip_config.json", openBiomed, filesBiomed},
		{MedImageInsight, "config.yaml", openInsight, filesInsight},
		{CLIP, "config.json", openCLIP, filesCLIP},
	}
}

// find is the directory that holds the checkpoint, dir or, since MedImageInsight's repository keeps it in a folder that is
// a date, its only folder that has the mark; and its layout.
func find(dir string) (string, layout, error) {
	for _, l := range layouts() {
		if _, err := os.Stat(filepath.Join(dir, l.mark)); err == nil {
			return dir, l, nil
		}
	}
	inside, _ := filepath.Glob(filepath.Join(dir, "*", "config.yaml"))
	if len(inside) == 1 {
		return filepath.Dir(inside[0]), layouts()[1], nil
	}
	if len(inside) > 1 {
		return "", layout{}, fmt.Errorf("checkpoint %s has %d folders with a config.yaml; name one of them", dir, len(inside))
	}
	return "", layout{}, fmt.Errorf("checkpoint %s is no dual encoder: it has neither open_clip_config.json (BiomedCLIP) nor config.yaml (MedImageInsight) nor config.json (CLIP)", dir)
}

// Files lists, sorted, the files of the checkpoint in dir that its vectors depend on, and reports those that are missing.
func Files(dir string) ([]string, error) {
	dir, l, err := find(dir)
	if err != nil {
		return nil, err
	}
	files, err := l.beside(dir)
	files = append(files, filepath.Join(dir, l.mark))
	slices.Sort(files)
	return slices.Compact(files), err
}

// Check reads everything of the checkpoint in dir but the numbers of its weights, and reports what is wrong.
func Check(dir string) error {
	o, err := read(dir)
	if err != nil {
		return err
	}
	return errors.Join(model.CheckWeights(o.archive, nn.Params(o.net), o.names), o.archive.Close())
}

// Open loads the checkpoint in dir onto the context's device.
func Open(ctx context.Context, dir string) (*Encoder, error) {
	o, err := read(dir)
	if err != nil {
		return nil, err
	}
	o.dev = ops.From(ctx)
	if err := model.LoadWeights(ctx, o.archive, nn.Params(o.net), o.names); err != nil {
		return nil, err
	}
	return &o.Encoder, nil
}

func read(dir string) (*opened, error) {
	dir, l, err := find(dir)
	if err != nil {
		return nil, err
	}
	o, err := l.open(dir)
	if err != nil {
		return nil, err
	}
	o.Kind = l.kind
	return o, nil
}

// rows is the number of rows of a table of tokens, of which the tokenizer must not have more.
func rows(a *safetensors.Archive, table string, tok *tokenizer.Tokenizer) (int, error) {
	info, ok := a.Info(table)
	if !ok || len(info.Shape) != 2 {
		return 0, fmt.Errorf("%s: no table %q of tokens", a.Path(), table)
	}
	if int(tok.MaxID()) >= info.Shape[0] {
		return 0, fmt.Errorf("%s: token id %d; tensor %q of %s has %d rows: tokenizer of another model?", tok.Path(), tok.MaxID(), table, a.Path(), info.Shape[0])
	}
	return info.Shape[0], nil
}

// batchTokens and batchPixels bound a batch; no vector depends on them. Two images of MedImageInsight take about half a
// gigabyte of activations.
const (
	batchTokens = 2048
	batchPixels = 2 * 480 * 480
)

// Texts maps texts into the space: unit vectors. progress, unless nil, is told how many of how many are done.
func (e *Encoder) Texts(ctx context.Context, texts []string, progress func(done, total int64)) ([][]float32, error) {
	ids, order := make([][]int32, len(texts)), make([]int, len(texts))
	for i, s := range texts {
		ids[i], order[i] = e.ids(s), i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(ids[b]), len(ids[a])) })
	out := make([][]float32, len(texts))
	for at := 0; at < len(order); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var flat []int32
		starts, first := []int{0}, at
		for ; at < len(order) && (at == first || len(flat)+len(ids[order[at]]) <= batchTokens); at++ {
			flat = append(flat, ids[order[at]]...)
			starts = append(starts, len(flat))
		}
		tape := tensor.NewScratch()
		for k, v := range vectors(e.net.texts(tape, flat, starts)) {
			out[order[first+k]] = v
		}
		tape.Release()
		if progress != nil {
			progress(int64(at), int64(len(texts)))
		}
	}
	return out, nil
}

// ids are a text's tokens, cut to the context with the last one, the end token, kept.
func (e *Encoder) ids(text string) []int32 {
	ids := e.Tok.Encode(e.clean(strings.ToValidUTF8(text, "\uFFFD")), true)
	if len(ids) > e.Tokens {
		ids = append(ids[:e.Tokens-1:e.Tokens-1], ids[len(ids)-1])
	}
	return ids
}

// Images maps n images, which open decodes, into the space: unit vectors. progress is Texts'.
func (e *Encoder) Images(ctx context.Context, n int, open func(i int) (*vision.Image, error), progress func(done, total int64)) ([][]float32, error) {
	out := make([][]float32, 0, n)
	var waiting []float32
	var w, h, count int
	flush := func() {
		tape := tensor.NewScratch()
		defer tape.Release()
		x := tape.Empty(e.dev, tensor.F32, count, 3, h, w)
		x.SetFloats(waiting)
		out = append(out, vectors(e.net.images(x))...)
		waiting, count = waiting[:0], 0
		if progress != nil {
			progress(int64(len(out)), int64(n))
		}
	}
	for i := range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		im, err := open(i)
		if err != nil {
			return nil, err
		}
		p, err := e.process.Process(im)
		if err != nil {
			return nil, err
		}
		w, h = p.W, p.H // the same of every image
		waiting, count = append(waiting, p.Data...), count+1
		if i == n-1 || (count+1)*w*h > batchPixels {
			flush()
		}
	}
	return out, nil
}

// vectors are the rows of x, each of length 1; a row of zeros stays.
func vectors(x *tensor.Tensor) [][]float32 {
	all := slices.Clone(ops.Floats(x))
	out := slices.Collect(slices.Chunk(all, x.Dim(1)))
	for _, row := range out {
		norm := 0.0
		for _, v := range row {
			norm += float64(v) * float64(v)
		}
		if norm = math.Sqrt(norm); norm == 0 {
			continue
		}
		for i, v := range row {
			row[i] = float32(float64(v) / norm)
		}
	}
	return out
}

// Cosine is the cosine of the angle between two vectors, 0 where one of them is zeros.
func Cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i, x := range a {
		y := float64(b[i])
		ab += float64(x) * y
		aa += float64(x) * float64(x)
		bb += y * y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// weightFiles lists the files of weights at path, or says that they are missing.
func weightFiles(path string) ([]string, error) { return weights.Files(path) }

// present lists those of the files that dir has.
func present(dir string, names ...string) []string {
	var files []string
	for _, n := range names {
		if path := filepath.Join(dir, n); exists(path) {
			files = append(files, path)
		}
	}
	return files
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// tokenizerFiles are the files that a tokenizer may be made of.
func tokenizerFiles(dir string) ([]string, error) {
	for _, set := range [][]string{{"tokenizer.json"}, {"vocab.json", "merges.txt"}, {"vocab.txt"}} {
		if files := present(dir, set...); len(files) == len(set) {
			return append(files, present(dir, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")...), nil
		}
	}
	return nil, fmt.Errorf("checkpoint %s lacks a tokenizer: tokenizer.json, vocab.json with merges.txt, or vocab.txt", dir)
}
