package data

import (
	"bytes"
	"encoding/csv"
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
	"lightbox/stdlib/text"
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
	return Set{step.New(rocoOp, p)}
}

var rocoOp = &step.Op{Name: "data.rocov2", Version: "1",
	Check: func(s step.Step) []error { return rocoCheck(s.Params.(rocoParams).Dir) },
	Files: func(s step.Step) ([]string, error) { return rocoFiles(s.Params.(rocoParams).Dir) },
	Run: func(ctx *step.Context, dir string) error {
		p := ctx.Step().Params.(rocoParams)
		root, err := filepath.Abs(p.Dir)
		if err != nil {
			return err
		}
		rd := &rocoReader{root: root, seen: map[string]string{}}
		if err := rd.all(); err != nil {
			return err
		}
		if !p.Options.TrustImages {
			if err := rd.decodeAll(ctx); err != nil {
				return err
			}
		}
		meta := Meta{Source: "ROCOv2 layout in " + filepath.Base(root)}
		examples, err := rd.settle(p.Options.BadRows, &meta)
		if err != nil {
			return err
		}
		meta.Warnings = append(meta.Warnings, repeated(examples)...)
		for _, w := range meta.Warnings {
			ctx.Logf("%s: %s", meta.Source, w)
		}
		return write(dir, meta, examples)
	}}

// all reads every split's table, or its parquet files where the folder has those.
func (rd *rocoReader) all() error {
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

// checkDir says what is wrong with a data directory, if anything, before a run starts.
func checkDir(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no data directory %s%s", dir, nearPath(dir))
	case err != nil:
		return fmt.Errorf("data directory %s: %w", dir, err)
	case !st.IsDir():
		return fmt.Errorf("%s is a file; want the data directory that holds it", dir)
	}
	return nil
}

// nearPath suggests an entry of the same parent directory.
func nearPath(path string) string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ""
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	if near, ok := text.Nearest(filepath.Base(path), names); ok {
		return fmt.Sprintf("; did you mean %s?", filepath.Join(filepath.Dir(path), near))
	}
	return ""
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

func captionsFile(dir, split string) string { return filepath.Join(dir, split+"_captions.csv") }

func firstLine(raw []byte) []string {
	row, err := newCSV(raw).Read()
	if err != nil {
		return nil
	}
	return row
}

func newCSV(raw []byte) *csv.Reader {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\ufeff"))))
	r.FieldsPerRecord = -1
	return r
}

// columns finds the wanted columns of a CSV header, ignoring case.
func columns(file string, header []string, want ...string) ([]int, error) {
	if len(header) == 0 {
		return nil, fmt.Errorf("%s: empty file, want a header with the columns %s", file, strings.Join(want, ", "))
	}
	at := make([]int, len(want))
	for i, w := range want {
		at[i] = slices.IndexFunc(header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), w) })
		if at[i] >= 0 {
			continue
		}
		msg := fmt.Sprintf("%s:1: no column %q, the header has %q", file, w, header)
		if near, ok := text.Nearest(w, header); ok {
			msg += fmt.Sprintf("; is %q meant?", near)
		}
		return nil, errors.New(msg)
	}
	return at, nil
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

// imageDirs are the places where the editions keep a split's images.
func imageDirs(root, split string) []string {
	return []string{
		filepath.Join(root, split), filepath.Join(root, split+"_images"), filepath.Join(root, "images", split),
		filepath.Join(root, split+"_images", split), filepath.Join(root, split, split+"_images"),
	}
}

var imageEndings = []string{".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}

func isImage(name string) bool {
	return slices.Contains(imageEndings, strings.ToLower(filepath.Ext(name)))
}

// A badRow is one row that cannot be used, and why.
type badRow struct {
	place string // file:line
	id    string
	why   string
}

func (b badRow) String() string {
	if b.id == "" {
		return b.place + ": " + b.why
	}
	return b.place + ": " + b.id + ": " + b.why
}

type rocoReader struct {
	root     string
	examples []Example
	places   []string          // file:line, parallel to examples
	dropped  map[int]bool      // examples that turned out bad
	bad      []badRow          //
	seen     map[string]string // split/ID -> place
}

func (rd *rocoReader) split(split string) error {
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

func (rd *rocoReader) row(split, place string, row []string, at []int, header []string, images map[string]string, cuis, manual map[string][]string) {
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

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}

// concepts reads the optional concept tables of a split.
func (rd *rocoReader) concepts(split string) (all, manual map[string][]string, err error) {
	if all, err = readConcepts(filepath.Join(rd.root, split+"_concepts.csv")); err != nil {
		return nil, nil, err
	}
	manual, err = readConcepts(filepath.Join(rd.root, split+"_concepts_manual.csv"))
	return all, manual, err
}

func readConcepts(name string) (map[string][]string, error) {
	raw, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	rows, err := newCSV(raw).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(rows) == 0 {
		rows = [][]string{nil}
	}
	at, err := columns(name, rows[0], "ID", "CUIs")
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for i, row := range rows[1:] {
		if len(row) <= max(at[0], at[1]) {
			return nil, fmt.Errorf("%s: row %d has %d columns, want %d", name, i+2, len(row), len(rows[0]))
		}
		list := []string{}
		for _, cui := range strings.Split(row[at[1]], ";") {
			if cui = strings.TrimSpace(cui); cui != "" && cui != "nan" {
				list = append(list, cui)
			}
		}
		out[strings.TrimSpace(row[at[0]])] = list
	}
	return out, nil
}

// settle applies the policy to the bad rows.
func (rd *rocoReader) settle(policy Policy, meta *Meta) ([]Example, error) {
	sort.SliceStable(rd.bad, func(i, j int) bool { return lessPlace(rd.bad[i].place, rd.bad[j].place) })
	kept := make([]Example, 0, len(rd.examples))
	for i, ex := range rd.examples {
		if !rd.dropped[i] {
			kept = append(kept, ex)
		}
	}
	if len(rd.bad) > 0 && policy == RefuseBadRows {
		return nil, badRowsError(rd.bad)
	}
	for _, b := range rd.bad {
		meta.Skipped = append(meta.Skipped, b.String())
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("%s holds no usable row", rd.root)
	}
	return kept, nil
}

// lessPlace orders file:line places by file, then by line as a number.
func lessPlace(a, b string) bool {
	i, j := strings.LastIndexByte(a, ':'), strings.LastIndexByte(b, ':')
	if a[:i] != b[:j] {
		return a[:i] < b[:j]
	}
	return len(a) < len(b) || len(a) == len(b) && a < b
}

const shownBadRows = 20

func badRowsError(bad []badRow) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d bad rows (data.ROCOOptions{BadRows: data.SkipBadRows} leaves such rows out and counts them)", len(bad))
	for i, row := range bad {
		if i == shownBadRows {
			fmt.Fprintf(&b, "\n  and %d more", len(bad)-i)
			break
		}
		b.WriteString("\n  " + row.String())
	}
	return errors.New(b.String())
}

// repeated warns where captions or IDs of one split stand in another: such a test measures memory too.
func repeated(examples []Example) []string {
	captions, ids := map[string]bool{}, map[string]bool{}
	for _, ex := range examples {
		if ex.Split == "train" {
			captions[strings.TrimSpace(ex.Caption)] = true
			ids[ex.ID] = true
		}
	}
	var warnings []string
	for _, split := range splitNames[1:] {
		n, of := 0, 0
		var same []string
		for _, ex := range examples {
			if ex.Split != split {
				continue
			}
			of++
			if captions[strings.TrimSpace(ex.Caption)] {
				n++
			}
			if ids[ex.ID] {
				same = append(same, ex.ID)
			}
		}
		if n > 0 {
			warnings = append(warnings, fmt.Sprintf("%d of the %d captions in %q stand in \"train\" too", n, of, split))
		}
		if len(same) > 0 {
			warnings = append(warnings, fmt.Sprintf("%d of the %d IDs in %q stand in \"train\" too: %s", len(same), of, split, strings.Join(same[:min(3, len(same))], ", ")))
		}
	}
	return warnings
}
