package data

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"lightbox/runtime/step"
)

// Policy says what to do with rows that cannot be used.
type Policy int

const (
	// RefuseBadRows reports all bad rows together as an error. It is the default.
	RefuseBadRows Policy = iota
	// SkipBadRows leaves them out; the set's view and footer count them.
	SkipBadRows
)

// ROCOOptions are the options of ROCOv2. The zero value reads everything and refuses bad rows.
type ROCOOptions struct {
	BadRows     Policy
	TrustImages bool // do not decode every image once while reading; a bad one then stops the verb that meets it
}

type rocoParams struct {
	Dir     string `key:"local"`
	Options ROCOOptions
}

var splitNames = []string{"train", "valid", "test"}

// modalityCUIs are ROCOv2's manually curated modality concepts and the paper's class of each.
var modalityCUIs = map[string]string{
	"C1306645": "Radiograph", // X-ray
	"C0040405": "CT",
	"C0024485": "MRI",
	"C0041618": "Ultrasound",
	"C0002978": "Other", // angiography
	"C0032743": "Other", // PET
	"C1699633": "Other", // combined PET/CT
}

// ModalityOf is the paper's class of an image with these concepts: CT, MRI, Radiograph, Ultrasound, or Other, which
// holds everything else and images of several kinds. No concepts at all give "".
func ModalityOf(cuis []string) string {
	if len(cuis) == 0 {
		return ""
	}
	class := ""
	for _, cui := range cuis {
		switch m := modalityCUIs[cui]; {
		case m == "" || m == class:
		case class == "":
			class = m
		default:
			return "Other"
		}
	}
	if class == "" {
		return "Other"
	}
	return class
}

// ROCOv2 reads a data set in the layout of ROCOv2 or of ImageCLEFmedical Caption: {train,valid,test}_captions.csv with
// the columns ID and Caption, {split}_concepts.csv and {split}_concepts_manual.csv with ID and CUIs (both optional), and
// the images in {split}/ or {split}_images/. A split without its captions file is left out; one split at least must be there.
// A folder of parquet files as Hugging Face's datasets library writes them (train-*.parquet with the columns image,
// image_id, caption and cui, such as eltorio/ROCOv2-radiology) is read too.
//
// Every row is checked, every image decoded once, and all bad rows are reported together with file and line: missing IDs or
// IDs repeated within a split, empty captions, captions without an image, images that do not decode.
func ROCOv2(dir string, options ...ROCOOptions) Set {
	p := rocoParams{Dir: dir}
	if len(options) > 1 {
		return Set{step.Bad(rocoOp, fmt.Errorf("got %d values of ROCOOptions, want at most one", len(options)))}
	}
	if len(options) == 1 {
		p.Options = options[0]
	}
	if step.Current().Rehearse {
		return standIn(rocoOp, p, p.Dir, rocoCheck)
	}
	return Set{step.New(rocoOp, p)}
}

var rocoOp = &step.Op{Name: "data.rocov2", Version: "2",
	Check: func(s step.Step) []error { return rocoCheck(s.Params.(rocoParams).Dir) },
	Files: func(s step.Step) ([]string, error) { return rocoFiles(s.Params.(rocoParams).Dir) },
	Run: func(ctx *step.Context, dir string) error {
		p := ctx.Step().Params.(rocoParams)
		root, err := filepath.Abs(p.Dir)
		if err != nil {
			return err
		}
		rd := &reading{root: root, seen: map[string]string{}}
		if err := rd.all(); err != nil {
			return err
		}
		if !p.Options.TrustImages {
			if err := rd.decodeAll(ctx); err != nil {
				return err
			}
		}
		meta := Meta{Source: "ROCOv2 layout"}
		examples, err := rd.settle(p.Options.BadRows, &meta)
		if err != nil {
			return err
		}
		meta.Warnings = append(meta.Warnings, repeated(examples)...)
		for _, w := range meta.Warnings {
			ctx.Logf("%s: %s", meta.Source, w)
		}
		if err := portable(ctx, examples); err != nil {
			return err
		}
		return write(dir, meta, examples)
	}}

// all reads every split's table, or its parquet files where the folder has those.
func (rd *reading) all() error {
	files, err := parquetFiles(rd.root)
	if err != nil {
		return err
	}
	for _, split := range splitNames {
		if files == nil {
			if err := rd.split(split); err != nil {
				return err
			}
		}
		for _, name := range files[split] {
			if err := rd.parquet(split, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func rocoCheck(dir string) []error {
	if err := checkDir(dir); err != nil {
		return []error{err}
	}
	if files, err := parquetFiles(dir); err != nil {
		return []error{err}
	} else if files != nil {
		return parquetCheck(files)
	}
	var errs []error
	found := 0
	for _, split := range splitNames {
		name := captionsFile(dir, split)
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		found++
		if err != nil {
			errs = append(errs, err)
			continue
		}
		head := make([]byte, 4096)
		n, _ := io.ReadFull(f, head)
		f.Close()
		if _, err := columns(name, firstLine(head[:n]), "ID", "Caption"); err != nil {
			errs = append(errs, err)
		}
	}
	if found == 0 {
		errs = append(errs, fmt.Errorf("%s holds none of train_captions.csv, valid_captions.csv, test_captions.csv, nor parquet files: not a data set in ROCOv2's layout", dir))
	}
	return errs
}

// rocoFiles lists what the artifact depends on: the tables and every image.
func rocoFiles(dir string) ([]string, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := checkDir(root); err != nil {
		return nil, err
	}
	byParquet, err := parquetFiles(root)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, split := range splitNames {
		files = append(files, byParquet[split]...)
		for _, table := range []string{"_captions.csv", "_concepts.csv", "_concepts_manual.csv"} {
			name := filepath.Join(root, split+table)
			if _, err := os.Stat(name); err == nil {
				files = append(files, name)
			}
		}
		for _, d := range imageDirs(root, split) {
			entries, err := os.ReadDir(d)
			if err != nil {
				continue
			}
			for _, e := range entries {
				if isImage(e.Name()) {
					files = append(files, filepath.Join(d, e.Name()))
				}
			}
		}
	}
	sort.Strings(files)
	return slices.Compact(files), nil
}

func (rd *reading) split(split string) error {
	name := captionsFile(rd.root, split)
	raw, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	images := map[string]string{}
	for _, d := range imageDirs(rd.root, split) {
		entries, _ := os.ReadDir(d)
		for _, e := range entries {
			if id, path := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())), filepath.Join(d, e.Name()); isImage(e.Name()) && images[id] == "" {
				images[id] = path
			}
		}
	}
	cuis, manual, err := rd.concepts(split)
	if err != nil {
		return err
	}
	r := newCSV(raw)
	header, err := r.Read()
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", name, err)
	}
	at, err := columns(name, header, "ID", "Caption")
	if err != nil {
		return err
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		line, _ := r.FieldPos(0)
		place := fmt.Sprintf("%s:%d", name, line)
		rd.row(split, place, row, at, header, images, cuis, manual)
	}
}

func (rd *reading) row(split, place string, row []string, at []int, header []string, images map[string]string, cuis, manual map[string][]string) {
	if len(row) <= max(at[0], at[1]) {
		rd.bad = append(rd.bad, badRow{place, "", fmt.Sprintf("%d columns, want %d", len(row), len(header))})
		return
	}
	id, caption := strings.TrimSpace(row[at[0]]), row[at[1]]
	fail := func(why string, a ...any) { rd.bad = append(rd.bad, badRow{place, id, fmt.Sprintf(why, a...)}) }
	switch first, again := rd.seen[split+"/"+id]; {
	case id == "":
		fail("column ID is empty")
		return
	case again:
		fail("ID appears before, at %s", first)
		return
	case strings.TrimSpace(caption) == "":
		fail("column Caption is empty")
		return
	}
	rd.seen[split+"/"+id] = place
	path := images[id]
	if path == "" {
		path = images[strings.TrimSuffix(id, filepath.Ext(id))]
	}
	if path == "" {
		fail("no image %s.jpg or .png in %s", id, filepath.Join(rd.root, split))
		return
	}
	ex := Example{ID: id, Split: split, Image: path, Caption: caption, CUIs: union(manual[id], cuis[id])}
	ex.Modality = ModalityOf(manual[id])
	if manual[id] == nil {
		ex.Modality = ModalityOf(cuis[id])
	}
	rd.examples = append(rd.examples, ex)
	rd.places = append(rd.places, place)
}
