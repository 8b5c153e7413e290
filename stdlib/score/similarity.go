package score

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/score/dual"
	"lightbox/stdlib/vision"
)

// SimilarityOptions say which dual encoder compares captions with images. Zero fields take the defaults.
type SimilarityOptions struct {
	// Checkpoint is a directory, or org/name of a repository in the Hugging Face cache, of MedImageInsight, BiomedCLIP or
	// CLIP in the layout that it is published in. Default "lion-ai/MedImageInsights", which ImageCLEF uses.
	Checkpoint string
	// Name is the column's name, so that several encoders can stand side by side. Default "similarity".
	Name string
}

const (
	similarityCheckpoint = "lion-ai/MedImageInsights"
	similarityName       = "similarity"
	similarityScale      = 2.5
)

// similarity is a network.
type similarity struct {
	Checkpoint string `key:"local"`
	Name       string
	Kind       string // which tiny checkpoint rehearses it
}

// Similarity compares every caption with its image: 2.5·max(cos, 0) of the vectors that a dual encoder has for the two
// (ImageCLEFmedical Caption; Hessel et al., 2021, call it CLIPScore). The reference is not read, except that a row whose
// caption and reference are both empty scores 1. Values can exceed 1. The frame needs the column image; a row without an
// image has no score. Column similarity.
//
// Each image and each text is encoded once, whatever the number of systems; the vectors of images are kept, by the
// content of image and checkpoint, for later runs.
func Similarity(opts ...SimilarityOptions) Metric {
	var o SimilarityOptions
	if len(opts) > 0 {
		o = opts[len(opts)-1]
	}
	s := similarity{Checkpoint: o.Checkpoint, Name: o.Name}
	if s.Checkpoint == "" {
		s.Checkpoint = similarityCheckpoint
	}
	if s.Name == "" {
		s.Name = similarityName
	}
	s.Kind = dual.MedImageInsight
	switch ref := strings.ToLower(s.Checkpoint); {
	case strings.Contains(ref, "insight"):
	case strings.Contains(ref, "biomedclip"):
		s.Kind = dual.BiomedCLIP
	case strings.Contains(ref, "clip"):
		s.Kind = dual.CLIP
	}
	return outputs(s, 0)
}

func (similarity) op() (name, version string) { return "score.Similarity", "1" }
func (similarity) kind() string               { return "weights" }

func (s similarity) columns() []frame.Column {
	c := frame.Column{Name: s.Name, Kind: frame.Number, Note: "Similarity: 2.5·max(cos, 0) of the caption's and the image's embeddings"}
	if s.Name == similarityName {
		c.Title = "Similarity"
	}
	return []frame.Column{c}
}

func (similarity) needs() []string      { return []string{frame.Image} }
func (similarity) check() error         { return nil }
func (s similarity) checkpoint() string { return s.Checkpoint }

func (similarity) files(path string) ([]string, error) {
	files, err := dual.Files(path)
	if err != nil {
		return files, err
	}
	return files, dual.Check(path)
}

func (s similarity) tiny(dir string) error { return dual.Tiny(dir, s.Kind) }

// cost knows the files only: the weights are read once, and a batch of images takes about a gigabyte beside them.
func (similarity) cost(files []string) step.Cost {
	n := sizeOf(files)
	return step.Cost{ReadBytes: float64(n), PeakBytes: n + 1<<30, Note: "weights; the work depends on the number of images"}
}

func (s similarity) run(in *input, path string) ([][]float64, error) {
	refs := in.rows.Strings(frame.Image)
	images, imageOf := distinct(refs)
	captions, captionOf := distinct(in.caps)
	if len(images) == 1 && images[0] == "" {
		return nil, errors.New("no row has an image; similarity compares captions with images")
	}
	weights, err := digests(in.ctx, path)
	if err != nil {
		return nil, err
	}
	loaded, err := in.ctx.Once("score.Similarity "+weights, func() (any, error) { return dual.Open(in.ctx, path) })
	if err != nil {
		return nil, err
	}
	e := loaded.(*dual.Encoder)
	total := int64(len(images) + len(captions))
	v, err := imageVectors(in.ctx, e, weights, images, func(done int64) { in.ctx.Progress(done, total, "images") })
	if err != nil {
		return nil, err
	}
	u, err := e.Texts(in.ctx, captions, func(done, _ int64) { in.ctx.Progress(int64(len(images))+done, total, "captions") })
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(refs))
	for i := range out {
		switch {
		case in.caps[i] == "" && in.refs[i] == "":
			out[i] = 1
		case refs[i] == "":
			out[i] = math.NaN()
		default:
			out[i] = similarityScale * max(0, dual.Cosine(u[captionOf[i]], v[imageOf[i]]))
		}
	}
	return [][]float64{out}, nil
}

// digests names a checkpoint by the content of its files.
func digests(ctx *step.Context, path string) (string, error) {
	files, err := dual.Files(path)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, f := range files {
		sum, err := ctx.Digest(f)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %s\n", filepath.Base(f), sum)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// imagesAtOnce is how many images are encoded between two writes to the cache: what an interruption can cost.
const imagesAtOnce = 32

// imageVectors are the vectors of images by their references, nil of "". Those that earlier runs kept are read, the
// others are computed and kept. The number in the cache's key goes up when decoding or preprocessing gives other pixels.
func imageVectors(ctx *step.Context, e *dual.Encoder, weights string, refs []string, progress func(done int64)) ([][]float32, error) {
	dir, err := ctx.Cache("score.Similarity images 1 " + weights)
	if err != nil {
		return nil, err
	}
	out := make([][]float32, len(refs))
	files := make([]string, len(refs))
	var todo []int
	for i, ref := range refs {
		if ref == "" {
			continue
		}
		name, err := contentName(ctx, ref)
		if err != nil {
			return nil, err
		}
		if name != "" {
			files[i] = filepath.Join(dir, name)
			out[i] = readVector(files[i], e.Dim)
		}
		if out[i] == nil {
			todo = append(todo, i)
		}
	}
	for len(todo) > 0 {
		progress(int64(len(refs) - len(todo)))
		some := todo[:min(imagesAtOnce, len(todo))]
		rest := int64(len(refs) - len(todo))
		vs, err := e.Images(ctx, len(some), func(k int) (*vision.Image, error) { return data.OpenImage(refs[some[k]]) },
			func(done, _ int64) { progress(rest + done) })
		if err != nil {
			return nil, err
		}
		for k, i := range some {
			if out[i] = vs[k]; files[i] == "" {
				continue
			}
			if err := writeVector(files[i], vs[k]); err != nil {
				return nil, err
			}
		}
		todo = todo[len(some):]
	}
	progress(int64(len(refs)))
	return out, nil
}

// contentName is a file name for the image behind a reference, the same for the same content; "" of one that the
// reference does not tell, such as a drawn one, which is not kept.
func contentName(ctx *step.Context, ref string) (string, error) {
	if rest, ok := strings.CutPrefix(ref, "sha256:"); ok && step.IsFileRef(ref) {
		sum, _, _ := strings.Cut(rest, "/")
		return sum, nil
	}
	if filepath.IsAbs(ref) {
		return ctx.Digest(ref)
	}
	return "", nil
}

// readVector is the vector of dim numbers in a file, nil where there is none.
func readVector(path string, dim int) []float32 {
	raw, err := os.ReadFile(path)
	if err != nil || len(raw) != 4*dim {
		return nil
	}
	v := make([]float32, dim)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return v
}

func writeVector(path string, v []float32) error {
	return step.WriteShared(filepath.Dir(path), path, func(w io.Writer) error {
		_, err := w.Write(floatBytes(v))
		return err
	})
}

func floatBytes(v []float32) []byte {
	raw := make([]byte, 0, 4*len(v))
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return raw
}
