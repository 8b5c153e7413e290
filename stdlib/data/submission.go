package data

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/text"
)

// SubmissionOptions change Submissions.
type SubmissionOptions struct {
	// Images is the folder with the images, each named by its ID, for metrics that look at them. "" leaves them out.
	Images string `key:"local"`
	// AllowEmpty accepts captions that are empty. In a submission they are errors otherwise.
	AllowEmpty bool
}

// Submissions reads captions that any tool wrote, and the reference captions that they are to be scored against: a frame
// with the columns system, id, image (with the option Images), reference and caption.
//
// predictions are one or several files, separated as in PATH (by a colon; on Windows by a semicolon). Each is a system,
// named by its file without the extension. All files are of ImageCLEF's format: a header with ID and Caption, whatever
// their case and what stands beside them, and one line per image; fields are separated by commas, bars, semicolons or
// tabs, and those with a separator or a line's end in them stand in double quotes, as CSV has it. Files that end in .jsonl
// hold an object with id and caption per line. Rows have the order of the reference file.
//
// All that is wrong with all files is one error, by file and line: no header, wrong columns or quotes, text that is not
// UTF-8, IDs that are empty, repeated, missing or not in the reference file, empty captions, images that are not there.
func Submissions(reference, predictions string, options ...SubmissionOptions) frame.Frame {
	p := submissionParams{Reference: reference, Systems: Systems(predictions)}
	if len(options) > 0 {
		p.Options = options[len(options)-1]
	}
	p.Paths = submissionPaths(predictions)
	p.WithImages = p.Options.Images != ""
	cols := submissionColumns(p.WithImages || step.Current().Rehearse)
	if step.Current().Rehearse {
		set := standIn(submissionOp, p, reference, func(string) []error { return p.check() })
		return frame.New(step.New(rehearsedOp, p.Systems, set.Ref()), cols).WithImages(Film)
	}
	return frame.New(step.New(submissionOp, p), cols).WithImages(Film)
}

// Systems are the names that Submissions gives to the files of predictions: those of the files without extension, with the
// folder's before where two files have one name.
func Systems(predictions string) []string {
	paths := submissionPaths(predictions)
	base := func(p string) string { return strings.TrimSuffix(filepath.Base(p), filepath.Ext(p)) }
	times := map[string]int{}
	for _, p := range paths {
		times[base(p)]++
	}
	var out []string
	for _, p := range paths {
		name := base(p)
		if times[name] > 1 {
			name = filepath.Base(filepath.Dir(p)) + "/" + name
		}
		out = append(out, name)
	}
	return out
}

func submissionPaths(predictions string) []string {
	var out []string
	for _, p := range filepath.SplitList(predictions) {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, filepath.Clean(p))
		}
	}
	return out
}

// submissionColumns are the frame's: without image where no images are given, so that a metric that needs them is refused
// before anything runs.
func submissionColumns(images bool) []frame.Column {
	cols := []frame.Column{{Name: "system", Label: true}, {Name: frame.ID}}
	if images {
		cols = append(cols, frame.Column{Name: frame.Image})
	}
	return append(cols, frame.Column{Name: frame.Reference}, frame.Column{Name: frame.Caption})
}

type submissionParams struct {
	Reference  string   `key:"local"`
	Paths      []string `key:"local"`
	Systems    []string
	WithImages bool
	Options    SubmissionOptions
}

var submissionOp = &step.Op{Name: "data.submission", Version: "1",
	Check: func(s step.Step) []error { return s.Params.(submissionParams).check() },
	Files: func(s step.Step) ([]string, error) { return s.Params.(submissionParams).files() },
	RestsOn: func(s step.Step) (kind, name string) {
		var names []string
		for _, p := range s.Params.(submissionParams).Paths {
			names = append(names, filepath.Base(p))
		}
		return "captions", strings.Join(names, ", ")
	},
	Run: func(ctx *step.Context, dir string) error {
		p := ctx.Step().Params.(submissionParams)
		rows, err := p.read(ctx)
		if err != nil {
			return err
		}
		return rows.Write(dir)
	}}

func (p submissionParams) check() []error {
	var errs []error
	if p.Reference == "" {
		errs = append(errs, errors.New("no file of reference captions is named (lightbox score PREDICTIONS REFERENCE, or the parameter reference)"))
	}
	if len(p.Paths) == 0 {
		errs = append(errs, errors.New("no file of predicted captions is named (lightbox score PREDICTIONS REFERENCE, or the parameter predictions)"))
	}
	for _, path := range append([]string{p.Reference}, p.Paths...) {
		if st, err := os.Stat(path); path != "" && err != nil {
			errs = append(errs, fmt.Errorf("no file %s%s", path, nearPath(path)))
		} else if path != "" && st.IsDir() {
			errs = append(errs, fmt.Errorf("%s is a folder; want a file with captions", path))
		}
	}
	for i, name := range p.Systems {
		if slices.Contains(p.Systems[:i], name) {
			errs = append(errs, fmt.Errorf("two files of predictions would be the system %q; rename one", name))
		}
	}
	if p.Options.Images != "" {
		if err := checkDir(p.Options.Images); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 { // a few milliseconds, and a plan that is wrong is said to be before any model is loaded
		if _, err := p.parse(); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (p submissionParams) files() ([]string, error) {
	var out []string
	for _, path := range append([]string{p.Reference}, p.Paths...) {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		out = append(out, abs)
	}
	if p.Options.Images != "" {
		images, err := imagesByID(p.Options.Images)
		if err != nil {
			return nil, err
		}
		for _, path := range images {
			out = append(out, path)
		}
		slices.Sort(out[1+len(p.Paths):])
	}
	return out, nil
}

// imagesByID are the absolute paths of a folder's images, by their names without extension.
func imagesByID(dir string) (map[string]string, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, e := range entries {
		if id := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())); isImage(e.Name()) && out[id] == "" {
			out[id] = filepath.Join(root, e.Name())
		}
	}
	return out, nil
}

// submission is what the files hold: the references, and of every system its captions by ID.
type submission struct {
	reference captionFile
	systems   []captionFile
	images    map[string]string
}

// parse reads and checks all files. The error is all that is wrong with them.
func (p submissionParams) parse() (*submission, error) {
	var s submission
	var bad []badRow
	s.reference, bad = readCaptions(p.Reference, false)
	if len(bad) == 0 && len(s.reference.rows) == 0 {
		bad = append(bad, badRow{place: p.Reference + ":1", why: "no reference captions behind the header"})
	}
	if len(bad) == 0 && p.Options.Images != "" {
		var err error
		if s.images, err = imagesByID(p.Options.Images); err != nil {
			return nil, err
		}
		for _, r := range s.reference.rows {
			if s.image(r.id) == "" {
				bad = append(bad, badRow{r.place, r.id, "no image of that name in " + p.Options.Images})
			}
		}
	}
	all := [][]badRow{bad}
	for _, path := range p.Paths {
		f, wrong := readCaptions(path, p.Options.AllowEmpty)
		if len(bad) == 0 { // else every ID might be missing
			wrong = append(wrong, f.against(s.reference)...)
		}
		slices.SortStableFunc(wrong, byPlace)
		all = append(all, wrong)
		s.systems = append(s.systems, f)
	}
	return &s, submissionError(all)
}

func byPlace(a, b badRow) int {
	switch {
	case lessPlace(a.place, b.place):
		return -1
	case lessPlace(b.place, a.place):
		return 1
	}
	return 0
}

func (s *submission) image(id string) string {
	if path := s.images[id]; path != "" {
		return path
	}
	return s.images[strings.TrimSuffix(id, filepath.Ext(id))]
}

// suggested is how many unknown IDs are compared with all known ones, for a near name.
const suggested = 5

// against finds IDs that only one of a submission and the reference has.
func (f captionFile) against(reference captionFile) []badRow {
	var bad []badRow
	unknown := 0
	for _, r := range f.rows {
		if _, ok := reference.at[r.id]; ok {
			continue
		}
		why := "ID is not in " + reference.path
		if unknown++; unknown <= suggested {
			if near, ok := text.Nearest(r.id, reference.ids()); ok {
				why += fmt.Sprintf("; is %s meant?", near)
			}
		}
		bad = append(bad, badRow{r.place, r.id, why})
	}
	var missing []string
	for _, r := range reference.rows {
		if _, ok := f.at[r.id]; !ok && !f.named[r.id] {
			missing = append(missing, r.id)
		}
	}
	if n := len(missing); n > 0 && !f.broken {
		bad = append(bad, badRow{place: fmt.Sprintf("%s:%d", f.path, f.lines), why: fmt.Sprintf("the file ends, and %d of the %d IDs of %s have no caption: %s", n, len(reference.rows), reference.path, someOf(missing, 3))})
	}
	return bad
}

// someOf lists the first n of names.
func someOf(names []string, n int) string {
	if len(names) <= n {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:n], ", ") + ", …"
}

// submissionError is all that is wrong, at most shownBadRows of each file; nil if nothing is.
func submissionError(files [][]badRow) error {
	total := 0
	var b strings.Builder
	for _, bad := range files {
		total += len(bad)
		for i, row := range bad {
			if i == shownBadRows {
				fmt.Fprintf(&b, "\n  and %d more of this file", len(bad)-i)
				break
			}
			b.WriteString("\n  " + row.String())
		}
	}
	switch total {
	case 0:
		return nil
	case 1:
		return errors.New(strings.TrimSpace(b.String()))
	}
	return fmt.Errorf("%d errors in files of captions%s", total, b.String())
}

// read makes the frame's rows.
func (p submissionParams) read(ctx *step.Context) (*frame.Rows, error) {
	s, err := p.parse()
	if err != nil {
		return nil, err
	}
	images := make([]string, len(s.reference.rows))
	if s.images != nil {
		for i, r := range s.reference.rows {
			ctx.Progress(int64(i), int64(len(images)), "images")
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			path := s.image(r.id)
			sum, err := ctx.Digest(path)
			if err != nil {
				return nil, err
			}
			images[i] = step.FileRef(sum, path)
		}
	}
	rows := frame.NewRows(submissionColumns(s.images != nil))
	for k, f := range s.systems {
		for i, r := range s.reference.rows {
			at := rows.Add()
			rows.SetString(at, "system", p.Systems[k])
			rows.SetString(at, frame.ID, r.id)
			if s.images != nil {
				rows.SetString(at, frame.Image, images[i])
			}
			rows.SetString(at, frame.Reference, r.caption)
			rows.SetString(at, frame.Caption, f.rows[f.at[r.id]].caption)
		}
	}
	return rows, nil
}

// rehearsedOp makes captions of the systems named, or of one, for the test images of a drawn set: each system says of an
// image what people said of another.
var rehearsedOp = &step.Op{Name: "data.submission rehearsed", Version: "1", Run: func(ctx *step.Context, dir string) error {
	r, err := Open(ctx.Input(0))
	if err != nil {
		return err
	}
	systems := ctx.Step().Params.([]string)
	if len(systems) == 0 {
		systems = []string{"predictions"}
	}
	var test []Example
	for i := range r.Len() {
		if ex := r.Example(i); ex.Split == "test" {
			test = append(test, ex)
		}
	}
	rows := frame.NewRows(submissionColumns(true))
	for k, name := range systems {
		for i, ex := range test {
			at := rows.Add()
			rows.SetString(at, "system", name)
			rows.SetString(at, frame.ID, ex.ID)
			rows.SetString(at, frame.Image, ex.Image)
			rows.SetString(at, frame.Reference, ex.Caption)
			rows.SetString(at, frame.Caption, test[(i+k)%len(test)].Caption)
		}
	}
	return rows.Write(dir)
}}
