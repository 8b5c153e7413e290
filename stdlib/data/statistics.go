package data

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/text"
	"lightbox/stdlib/vision"
)

func statisticsColumns() []frame.Column {
	cols := []frame.Column{{Name: splitLabel, Label: true, Title: "Split"}, {Name: frame.ID}, {Name: frame.Image}, {Name: frame.Modality}, {Name: frame.Caption}}
	for _, c := range [][3]string{
		{"width", "Width", "Width and Height: pixels"}, {"height", "Height", "Width and Height: pixels"},
		{"megapixels", "Megapixels", ""}, {"aspect", "Aspect", "Aspect: width by height"},
		{"grey", "Grey", "Grey: share of images whose three channels are equal in every pixel"},
		{"words", "Words", "Words: of a caption, between white space"}, {"characters", "Characters", ""},
		{"concepts", "Concepts", "Concepts: UMLS concepts of an image"},
		{"normalized", "Normalised", "Normalised: share of captions that normalisation of white space and Unicode changes"},
		{"repeated_caption", "Repeated caption", "Repeated: share of captions, or of images pixel by pixel, that stand more than once in their split"},
		{"repeated_image", "Repeated image", "Repeated: share of captions, or of images pixel by pixel, that stand more than once in their split"},
		{"caption_in_train", "Caption in train", "In train: share that stands in the split train too"},
		{"image_in_train", "Image in train", "In train: share that stands in the split train too"},
	} {
		cols = append(cols, frame.Column{Name: c[0], Kind: frame.Number, Title: c[1], Note: c[2]})
	}
	return cols
}

var statisticsOp = &step.Op{Name: "data.Statistics", Version: "1",
	Cost: func(s step.Step) step.Cost {
		counts, exact := Count(s.In[0])
		note := fmt.Sprintf("%d images decoded", Total(counts))
		if !exact {
			note = "up to " + note
		}
		return step.Cost{Note: note}
	},
	Run: func(ctx *step.Context, dir string) error {
		r, err := Open(ctx.Input(0))
		if err != nil {
			return err
		}
		looks, err := lookAtAll(ctx, r)
		if err != nil {
			return err
		}
		return statistics(r.examples, looks).Write(dir)
	}}

// Statistics measures every example: one row each, with the label split, id, image, modality and caption, and the numbers
//
//	width, height         of the image in pixels, as the set gives it
//	megapixels, aspect    aspect is width by height
//	grey                  1 where the three channels are equal in every pixel, else 0
//	words, characters     of the caption; words stand between white space
//	concepts              UMLS concepts of the example
//	normalized            1 where text normalisation (Standard.NormalizeText) changes the caption, else 0
//	repeated_caption      1 where another example of the split has the caption, white space aside
//	repeated_image        1 where another example of the split has the same pixels
//	caption_in_train      1 where the split train has the caption too; absent in train itself
//	image_in_train        1 where the split train has the same pixels too; absent in train itself
//
// so that a mean is a share (table.New), table.Describe gives the quartiles, and plot.Histogram the distribution. Text-only
// examples have no numbers of images.
//
// Every image is decoded once, on all cores, and nothing of it is kept but its size and its hash. All that cannot be
// decoded are reported together. An interrupted run goes on behind the last image.
func Statistics(set Set) frame.Frame {
	return frame.New(step.New(statisticsOp, nil, set.ref), statisticsColumns()).WithImages(Film)
}

// pixels is what is kept of a decoded image. W is 0 of a text-only example.
type pixels struct {
	Row  int    `json:"row"`
	W    int    `json:"w"`
	H    int    `json:"h"`
	Grey bool   `json:"grey"`
	Sum  string `json:"sum"` // 128 bits of SHA-256 over size and pixels
}

func measure(row int, im *vision.Image) pixels {
	if im == nil {
		return pixels{Row: row}
	}
	h := sha256.New()
	fmt.Fprintf(h, "%d %d\n", im.W, im.H)
	h.Write(im.Pix)
	p := pixels{Row: row, W: im.W, H: im.H, Grey: true, Sum: hex.EncodeToString(h.Sum(nil)[:16])}
	for i := 0; i < len(im.Pix); i += 3 {
		if im.Pix[i] != im.Pix[i+1] || im.Pix[i] != im.Pix[i+2] {
			p.Grey = false
			break
		}
	}
	return p
}

// lookAtAll decodes every image that an interrupted run has not decoded yet.
func lookAtAll(ctx *step.Context, r *Reader) ([]pixels, error) {
	log, err := openPixelLog(ctx)
	if err != nil {
		return nil, err
	}
	defer log.f.Close()
	looks, errs := make([]pixels, r.Len()), make([]error, r.Len())
	var left []int
	for i := range looks {
		if p, ok := log.done[i]; ok {
			looks[i] = p
		} else {
			left = append(left, i)
		}
	}
	open := func(k int) (*vision.Image, error) { return r.Image(left[k]) }
	err = eachImage(ctx, len(left), open, func(k int, im *vision.Image, err error) {
		i := left[k]
		if err == nil {
			looks[i] = measure(i, im)
			err = log.add(looks[i])
		} else if id := "example " + r.Example(i).ID; !strings.Contains(err.Error(), id) {
			err = fmt.Errorf("%s: %w", id, err)
		}
		errs[i] = err
	})
	if err != nil {
		return nil, err
	}
	return looks, together(errs)
}

// together is one error of several, of many the first ones.
func together(errs []error) error {
	var bad []error
	for _, err := range errs {
		if err != nil {
			bad = append(bad, err)
		}
	}
	if len(bad) < 2 {
		return errors.Join(bad...)
	}
	n := len(bad)
	if n > shownBadRows {
		bad = append(bad[:shownBadRows:shownBadRows], fmt.Errorf("and %d more", n-shownBadRows))
	}
	return fmt.Errorf("%d of %d images cannot be decoded:\n%w", n, len(errs), errors.Join(bad...))
}

// A pixelLog keeps what was seen of images across an interruption, one JSON line each. A torn last line counts for nothing.
type pixelLog struct {
	mu   sync.Mutex
	f    *os.File
	done map[int]pixels
}

func openPixelLog(ctx *step.Context) (*pixelLog, error) {
	scratch, err := ctx.Scratch()
	if err != nil {
		return nil, err
	}
	name := filepath.Join(scratch, "pixels.jsonl")
	raw, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l := &pixelLog{done: map[int]pixels{}}
	whole := 0
	for {
		line, _, ok := bytes.Cut(raw[whole:], []byte("\n"))
		var p pixels
		if !ok || json.Unmarshal(line, &p) != nil {
			break
		}
		l.done[p.Row] = p
		whole += len(line) + 1
	}
	if len(l.done) > 0 {
		ctx.Logf("resumed with %d images", len(l.done))
	}
	if err := os.WriteFile(name, raw[:whole], 0o644); err != nil {
		return nil, err
	}
	l.f, err = os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0o644)
	return l, err
}

func (l *pixelLog) add(p pixels) error {
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.f.Write(append(raw, '\n'))
	return err
}

// tallies count how often a key stands in a split.
type tallies map[[2]string]int

func (t tallies) set(rows *frame.Rows, i int, split, key string, hasTrain bool, repeated, inTrain string) {
	rows.SetNumber(i, repeated, truth(t[[2]string{split, key}] > 1))
	if hasTrain && split != "train" {
		rows.SetNumber(i, inTrain, truth(t[[2]string{"train", key}] > 0))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// statistics makes the rows of examples and what was seen of their images.
func statistics(examples []Example, looks []pixels) *frame.Rows {
	captions, images := tallies{}, tallies{}
	hasTrain := false
	keys := make([]string, len(examples))
	for i, ex := range examples {
		keys[i] = strings.TrimSpace(text.Normalize(ex.Caption))
		captions[[2]string{ex.Split, keys[i]}]++
		images[[2]string{ex.Split, looks[i].Sum}]++
		hasTrain = hasTrain || ex.Split == "train"
	}
	rows := frame.NewRows(statisticsColumns())
	for k, ex := range examples {
		i, p := rows.Add(), looks[k]
		rows.SetString(i, splitLabel, ex.Split)
		rows.SetString(i, frame.ID, ex.ID)
		rows.SetString(i, frame.Image, ex.Image)
		rows.SetString(i, frame.Modality, ex.Modality)
		rows.SetString(i, frame.Caption, ex.Caption)
		rows.SetNumber(i, "words", float64(len(strings.Fields(ex.Caption))))
		rows.SetNumber(i, "characters", float64(utf8.RuneCountInString(ex.Caption)))
		rows.SetNumber(i, "concepts", float64(len(ex.CUIs)))
		rows.SetNumber(i, "normalized", truth(text.Normalize(ex.Caption) != ex.Caption))
		captions.set(rows, i, ex.Split, keys[k], hasTrain, "repeated_caption", "caption_in_train")
		if p.W == 0 {
			continue
		}
		rows.SetNumber(i, "width", float64(p.W))
		rows.SetNumber(i, "height", float64(p.H))
		rows.SetNumber(i, "megapixels", float64(p.W)*float64(p.H)/1e6)
		rows.SetNumber(i, "aspect", float64(p.W)/float64(p.H))
		rows.SetNumber(i, "grey", truth(p.Grey))
		images.set(rows, i, ex.Split, p.Sum, hasTrain, "repeated_image", "image_in_train")
	}
	return rows
}
