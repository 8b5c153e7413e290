package data

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lightbox/runtime/step"
	"lightbox/stdlib/vision"
)

// An Example is one image with what is known of it. The zero value of a field means "not known".
type Example struct {
	ID       string            `json:"id" expr:"id"`
	Split    string            `json:"split" expr:"split"`                 // train, valid or test
	Image    string            `json:"image,omitempty" expr:"image"`       // reference for OpenImage; empty: text only
	Caption  string            `json:"caption" expr:"caption"`             // the reference caption
	Prompt   string            `json:"prompt,omitempty" expr:"prompt"`     // asked instead of the verb's prompt, where set
	Modality string            `json:"modality,omitempty" expr:"modality"` // true class: CT, MRI, Radiograph, Ultrasound, Other
	Hint     string            `json:"hint,omitempty" expr:"hint"`         // modality to be said in the prompt
	CUIs     []string          `json:"cuis,omitempty" expr:"cuis"`         // UMLS concepts
	Attrs    map[string]string `json:"attrs,omitempty" expr:"attrs"`       // ground truth by component (phantoms)
	Fields   map[string]string `json:"fields,omitempty" expr:"fields"`     // further columns of the source
}

// Meta describes a set as a whole. It travels with every set derived from it.
type Meta struct {
	Source      string    `json:"source"`                 // what the set was read from
	Warnings    []string  `json:"warnings,omitempty"`     // found while reading, not fatal
	Skipped     []string  `json:"skipped,omitempty"`      // rows left out under SkipBadRows
	Standard    *Standard `json:"standard,omitempty"`     // how images and captions are standardised
	HintsFrom   string    `json:"hints_from,omitempty"`   // where Example.Hint comes from
	ShuffleSeed *uint64   `json:"shuffle_seed,omitempty"` // set where images were shuffled
}

// Ask is what a model is asked about the example: the example's own prompt or else the verb's, after the modality that
// is to be said, as in the paper ("CT: Describe the image.").
func (ex Example) Ask(prompt string) string {
	if ex.Prompt != "" {
		prompt = ex.Prompt
	}
	if ex.Hint != "" {
		return ex.Hint + ": " + prompt
	}
	return prompt
}

const (
	examplesFile = "examples.jsonl"
	metaFile     = "meta.json"
)

// A Reader gives the examples of a set's artifact. It is safe for concurrent use.
type Reader struct {
	Meta     Meta
	examples []Example
}

// Open reads the artifact directory of a Set.
func Open(dir string) (*Reader, error) {
	r := &Reader{}
	raw, err := os.ReadFile(filepath.Join(dir, metaFile))
	if err != nil {
		return nil, fmt.Errorf("open set: %w", err)
	}
	if err := json.Unmarshal(raw, &r.Meta); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, metaFile), err)
	}
	name := filepath.Join(dir, examplesFile)
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open set: %w", err)
	}
	defer f.Close()
	dec := json.NewDecoder(bufio.NewReaderSize(f, 1<<16))
	for {
		var ex Example
		if err := dec.Decode(&ex); errors.Is(err, io.EOF) {
			return r, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: example %d: %w", name, len(r.examples), err)
		}
		r.examples = append(r.examples, ex)
	}
}

// Len is the number of examples.
func (r *Reader) Len() int { return len(r.examples) }

// Example is the i-th example. The caller does not change its maps and slices.
func (r *Reader) Example(i int) Example { return r.examples[i] }

// Image decodes and standardises the i-th image. A text-only example gives nil.
func (r *Reader) Image(i int) (*vision.Image, error) {
	ex := r.examples[i]
	if ex.Image == "" {
		return nil, nil
	}
	im, err := OpenImage(ex.Image)
	if err != nil {
		return nil, fmt.Errorf("example %s: %w", ex.ID, err)
	}
	if s := r.Meta.Standard; s != nil {
		im = s.apply(im)
	}
	return im, nil
}

// ImageKey names the i-th image as Image gives it by its content: the same text for the same pixels, on any machine. It is ""
// of a text-only example, and of an image that only a path names.
func (r *Reader) ImageKey(i int) string {
	key := contentOf(r.examples[i].Image)
	if s := r.Meta.Standard; s != nil && key != "" {
		key += fmt.Sprintf(" standardised %d %t", s.LongestSide, s.Square)
	}
	return key
}

// contentOf is what a reference says of an image's content, "" of a path.
func contentOf(ref string) string {
	switch {
	case strings.HasPrefix(ref, "phantom:"):
		return ref
	case strings.HasPrefix(ref, parquetPrefix):
		file, row, err := cutParquet(strings.TrimPrefix(ref, parquetPrefix))
		if file = contentOf(file); err != nil || file == "" {
			return ""
		}
		return parquetRef(file, row)
	case step.IsFileRef(ref):
		sum, _, _ := strings.Cut(ref, "/")
		return sum
	}
	return ""
}

// Size is the width and height of the i-th image as Image gives it, read from the file's header where that says it; 0, 0
// of a text-only example.
func (r *Reader) Size(i int) (w, h int, err error) {
	ex := r.examples[i]
	if ex.Image == "" {
		return 0, 0, nil
	}
	if w, h, err = imageSize(ex.Image); err != nil {
		return 0, 0, fmt.Errorf("example %s: %w", ex.ID, err)
	}
	if s := r.Meta.Standard; s != nil {
		w, h = vision.StandardSize(w, h, s.LongestSide, s.Square)
	}
	return w, h, nil
}

// headerBytes is where the header of nearly every JPEG and PNG file has ended.
const headerBytes = 1 << 16

func imageSize(ref string) (w, h int, err error) {
	if strings.HasPrefix(ref, "phantom:") {
		p, err := phantomFromRef(ref)
		return p.Size, p.Size, err
	}
	if !strings.HasPrefix(ref, parquetPrefix) {
		path, err := located(ref)
		if err != nil {
			return 0, 0, fmt.Errorf("image: %w", err)
		}
		if f, err := os.Open(path); err == nil {
			defer f.Close()
			head := make([]byte, headerBytes)
			n, _ := io.ReadFull(f, head)
			if w, h, err = vision.SizeOf(head[:n], path); err == nil {
				return w, h, nil
			}
		}
	}
	im, err := OpenImage(ref) // the header is longer, or the error is to be said
	if err != nil {
		return 0, 0, err
	}
	return im.W, im.H, nil
}

// portable replaces the paths of images by references to their content (step.FileRef): an artifact holds no path, since its
// key has none, and serves wherever the files lie.
func portable(ctx *step.Context, examples []Example) error {
	for i, ex := range examples {
		path, row := ex.Image, ""
		if rest, ok := strings.CutPrefix(path, parquetPrefix); ok {
			var err error
			if path, row, err = cutParquet(rest); err != nil {
				return err
			}
		}
		if !filepath.IsAbs(path) {
			continue // drawn, or none
		}
		sum, err := ctx.Digest(path)
		if err != nil {
			return err
		}
		examples[i].Image = step.FileRef(sum, path)
		if row != "" {
			examples[i].Image = parquetRef(examples[i].Image, row)
		}
	}
	return nil
}

// located is the path behind a reference of portable; other texts are paths already.
func located(ref string) (string, error) {
	if step.IsFileRef(ref) {
		return step.Place(ref)
	}
	return ref, nil
}

// OpenImage decodes the image behind a reference: a file by its content (step.FileRef) or absolute path, "phantom:…", which
// is drawn from its seed, or "parquet:…", a row of a parquet file.
func OpenImage(ref string) (*vision.Image, error) {
	if strings.HasPrefix(ref, "phantom:") {
		p, err := phantomFromRef(ref)
		if err != nil {
			return nil, err
		}
		return p.draw(), nil
	}
	if strings.HasPrefix(ref, parquetPrefix) {
		return openParquetImage(ref)
	}
	path, err := located(ref)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("image %s: no such file", path)
	} else if err != nil {
		return nil, fmt.Errorf("image %s: %w", path, err)
	}
	return vision.Decode(raw, path)
}

// Film is the image behind a reference as PNG, for display (frame.Frame.WithImages).
func Film(ref string) ([]byte, error) {
	im, err := OpenImage(ref)
	if err != nil {
		return nil, err
	}
	return vision.EncodePNG(im), nil
}

// write puts a set's artifact into dir.
func write(dir string, meta Meta, examples []Example) error {
	raw, err := json.MarshalIndent(meta, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, metaFile), append(raw, '\n'), 0o644); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, examplesFile))
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, ex := range examples {
		if err := enc.Encode(ex); err != nil {
			f.Close()
			return err
		}
	}
	return errors.Join(w.Flush(), f.Close())
}
