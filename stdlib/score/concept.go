package score

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"lightbox/runtime/step"
	"lightbox/stdlib/concepts"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/models/checkpoint"
)

// ConceptMatcher is how concepts are found in captions.
type ConceptMatcher string

// The matchers. LikeQuickUMLS looks up every span of up to five tokens and
// accepts names that are similar enough; ExactNames accepts names that stand in
// the caption word by word, but for plural endings, the longest first.
const (
	LikeQuickUMLS ConceptMatcher = "quickumls"
	ExactNames    ConceptMatcher = "exact"
)

// ConceptOptions change ConceptF1 and Concepts. The zero value is QuickUMLS's
// matcher with its defaults and the open dictionary.
type ConceptOptions struct {
	Matcher ConceptMatcher
	// Dictionary is a directory with MRCONSO.RRF and MRSTY.RRF of a UMLS release, or
	// a QuickUMLS installation with those files in or beside it; "" is the open
	// dictionary, which is part of the program.
	Dictionary string `key:"local"`
	// KeepCase takes the names of a release as they are written (QuickUMLS installed
	// without -L). Otherwise names and captions are put into lower case. A QuickUMLS
	// installation's own flags go before it.
	KeepCase bool
	// DropSuppressed leaves out names that the release marks as suppressible.
	DropSuppressed bool
	Language       string   // of the names in a release: "ENG" when empty
	Types          []string // accepted semantic types; the 27 of QuickUMLS when empty, all when "any"
	Threshold      float64  // of the trigrams' Jaccard similarity: 0.7 when 0
	Window         int      // tokens of the longest span: 5 when 0
	// AllCandidates counts every concept that a span may stand for, as QuickUMLS
	// lists them, and not only the best one.
	AllCandidates bool
	Part          Part
	// Suffix is added to the column's name, for two of them in one frame.
	Suffix string
}

// ConceptF1 is UMLS concept F1: the concepts that the caption and the reference
// share, of those of the caption (precision) and of the reference (recall), and
// the harmonic mean of both. Each concept counts once per text. A row where either
// side has no concept scores 0, both included; a row whose texts are both empty
// scores 1. Column concept_f1, or concept_p and concept_r with the option Part, and
// "_exact" behind it for the exact matcher.
//
// The paper's evaluator links concepts by MedCAT; this links them as QuickUMLS
// 1.4.2 does, or by exact names, over the dictionary that the column's note
// names. Negation is not understood: "no effusion" names an effusion. Scores with
// the open dictionary, which knows fewer concepts than UMLS, compare only among
// themselves.
func ConceptF1(opts ...ConceptOptions) Metric {
	var o ConceptOptions
	if len(opts) > 0 {
		o = opts[len(opts)-1]
	}
	if o.Dictionary != "" {
		n := &umls{Opts: o}
		if o.Part <= Recall {
			n.Opts.Part = F1 // the step computes all three, whichever is asked
		}
		return outputs(n, int(min(o.Part, Recall)))
	}
	return metrics{openConcepts{Opts: o, Dictionary: concepts.OpenHash()}}
}

// Concept is a stretch of text that stands for a concept.
type Concept struct {
	Start, End int      // characters of the text
	Text       string   // the stretch
	CUI, Name  string   // the concept, and the dictionary's name that was found
	Types      []string // UMLS semantic types: "T047"
	Similarity float64  // 1 for the very name
}

// String is the concept as a line for people.
func (c Concept) String() string {
	return fmt.Sprintf("%d-%d %q %s %q %.2f %s", c.Start, c.End, c.Text, c.CUI, c.Name, c.Similarity, strings.Join(c.Types, ","))
}

// Concepts lists the concepts that a text names, as ConceptF1 with the same
// options counts them, by position. It reads the open dictionary only: a release
// of UMLS is read by steps. The error is about the options.
func Concepts(text string, opts ...ConceptOptions) ([]Concept, error) {
	var o ConceptOptions
	if len(opts) > 0 {
		o = opts[len(opts)-1]
	}
	if o.Dictionary != "" {
		return nil, fmt.Errorf("score.Concepts reads the open dictionary only, not %s", o.Dictionary)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	return o.list(o.matcher(concepts.Open()), text), nil
}

func (o ConceptOptions) list(m concepts.Matcher, text string) []Concept {
	runes := []rune(text)
	var out []Concept
	for _, span := range m.Match(text) {
		if !o.AllCandidates {
			span = span[:1]
		}
		for _, c := range span {
			out = append(out, Concept{Start: c.Start, End: c.End, Text: string(runes[c.Start:c.End]), CUI: c.CUI, Name: c.Term,
				Types: c.Types, Similarity: c.Similarity})
		}
	}
	slices.SortStableFunc(out, func(a, b Concept) int { return a.Start - b.Start })
	return out
}

func (o ConceptOptions) options() concepts.Options {
	return concepts.Options{Threshold: o.Threshold, Types: o.Types, Window: o.Window}
}

func (o ConceptOptions) matcher(d *concepts.Dictionary) concepts.Matcher {
	if o.Matcher == ExactNames {
		return concepts.NewExact(d, o.options())
	}
	return concepts.New(d, o.options())
}

func (o ConceptOptions) check() error {
	var errs []error
	known := []string{string(LikeQuickUMLS), string(ExactNames)}
	switch o.Matcher {
	case "", LikeQuickUMLS:
	case ExactNames:
		if o.Threshold != 0 || o.Window != 0 {
			errs = append(errs, errors.New("the exact matcher has neither a threshold nor a window"))
		}
	default:
		hint := "there are: " + strings.Join(known, ", ")
		if n := frame.Near(string(o.Matcher), known); n != "" {
			hint = fmt.Sprintf("did you mean %q?", n)
		}
		errs = append(errs, fmt.Errorf("no matcher %q (%s)", o.Matcher, hint))
	}
	if o.Part > Recall {
		errs = append(errs, fmt.Errorf("unknown part %d (want score.F1, Precision or Recall)", o.Part))
	}
	if o.Dictionary == "" && (o.KeepCase || o.DropSuppressed || o.Language != "") {
		errs = append(errs, errors.New("KeepCase, DropSuppressed and Language are about a UMLS release; the open dictionary is in lower case, English, and has no suppressed names"))
	}
	if err := errors.Join(append(errs, o.options().Check())...); err != nil {
		return fmt.Errorf("concept F1: %w", err)
	}
	return nil
}

// column is the column of a part, with a note on the dictionary.
func (o ConceptOptions) column(part Part, dictionary string) frame.Column {
	c := frame.Column{Name: "concept_f1", Title: "Concept F1", Kind: frame.Number}
	what := "F1"
	switch part {
	case Precision:
		c.Name, c.Title, what = "concept_p", "Concept P", "precision"
	case Recall:
		c.Name, c.Title, what = "concept_r", "Concept R", "recall"
	}
	how := "matched as QuickUMLS 1.4.2"
	if o.Matcher == ExactNames {
		c.Name += "_exact"
		how = "matched by exact names"
	}
	if o.AllCandidates {
		how += ", all candidates of a span"
	}
	c.Name += o.Suffix
	c.Note = fmt.Sprintf("UMLS concepts (%s), %s; dictionary: %s", what, how, dictionary)
	return c
}

// openConcepts is concept F1 with the open dictionary.
type openConcepts struct {
	Opts       ConceptOptions
	Dictionary string // its hash
}

func (c openConcepts) column() frame.Column {
	return c.Opts.column(c.Opts.Part, fmt.Sprintf("%s (%s)", concepts.OpenTitle, c.Dictionary))
}
func (openConcepts) needs() []string { return nil }
func (c openConcepts) check() error  { return c.Opts.check() }

func (c openConcepts) score(in *input) ([]float64, error) {
	v, err := c.Opts.values(in, concepts.Open())
	if err != nil {
		return nil, err
	}
	return v[min(c.Opts.Part, Recall)], nil
}

// values gives F1, precision and recall of every row, in the order of Part.
func (o ConceptOptions) values(in *input, d *concepts.Dictionary) ([][]float64, error) {
	texts, at := distinct(append(append([]string(nil), in.refs...), in.caps...))
	found, err := o.concepts(in.ctx, d, texts)
	if err != nil {
		return nil, err
	}
	n := len(in.refs)
	out := [][]float64{make([]float64, n), make([]float64, n), make([]float64, n)}
	for i := range n {
		if in.refs[i] == "" && in.caps[i] == "" {
			out[F1][i], out[Precision][i], out[Recall][i] = 1, 1, 1
			continue
		}
		ref, pred := found[at[i]], found[at[n+i]]
		if len(ref) == 0 || len(pred) == 0 {
			continue
		}
		hits := 0.0
		for cui := range pred {
			if ref[cui] {
				hits++
			}
		}
		p, r := hits/float64(len(pred)), hits/float64(len(ref))
		out[Precision][i], out[Recall][i] = p, r
		if hits > 0 {
			out[F1][i] = 2 * p * r / (p + r)
		}
	}
	return out, nil
}

// concepts finds the concepts of every text. Workers take texts by turns; what is
// found in a text does not depend on the others.
func (o ConceptOptions) concepts(ctx *step.Context, d *concepts.Dictionary, texts []string) ([]map[string]bool, error) {
	const piece = 64
	out := make([]map[string]bool, len(texts))
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := 0
	take := func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		start := next
		next = min(next+piece, len(texts))
		ctx.Progress(int64(start), int64(len(texts)), "texts")
		return start, next
	}
	for range min(runtime.GOMAXPROCS(0), (len(texts)+piece-1)/piece) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			m := o.matcher(d)
			for start, end := take(); start < end && ctx.Err() == nil; start, end = take() {
				for i := start; i < end; i++ {
					out[i] = map[string]bool{}
					for _, c := range o.list(m, texts[i]) {
						out[i][c.CUI] = true
					}
				}
			}
		}()
	}
	wg.Wait()
	return out, ctx.Err()
}

// umls is concept F1 with the names of a UMLS release.
type umls struct{ Opts ConceptOptions }

func (*umls) op() (name, version string) { return "score.ConceptF1", "1" }
func (*umls) kind() string               { return "dictionary" }

func (u *umls) columns() []frame.Column {
	dictionary := "UMLS"
	if f, err := concepts.FindFolder(expand(u.Opts.Dictionary)); err == nil {
		dictionary = fmt.Sprintf("UMLS, %s of %s", concepts.NamesFile, filepath.Base(f.Path))
		if print, err := f.Fingerprint(); err == nil {
			dictionary += fmt.Sprintf(" (%s)", print)
		}
	}
	return []frame.Column{u.Opts.column(F1, dictionary), u.Opts.column(Precision, dictionary), u.Opts.column(Recall, dictionary)}
}

func (*umls) needs() []string      { return nil }
func (u *umls) checkpoint() string { return u.Opts.Dictionary }

// check looks at the dictionary too, before anyone takes its name for that of a
// checkpoint.
func (u *umls) check() error {
	if err := u.Opts.check(); err != nil {
		return err
	}
	if step.Current().Rehearse {
		return nil
	}
	if _, err := concepts.FindFolder(expand(u.Opts.Dictionary)); err != nil {
		return fmt.Errorf("concept F1: %w; without the option Dictionary the open dictionary is used", err)
	}
	return nil
}

func expand(path string) string {
	if f, err := checkpoint.Find(path); err == nil {
		return f.Path
	}
	return path
}

func (*umls) files(path string) ([]string, error) {
	f, err := concepts.FindFolder(path)
	return f.Files, err
}

// cost: while a release is read, memory holds about half a kilobyte per name that
// is kept (525,000 names: 263 MB; 87 MB afterwards, lists of trigrams included).
// Lines are about 120 bytes, and up to two thirds of them are English.
func (*umls) cost(files []string) step.Cost {
	n := sizeOf(files)
	return step.Cost{ReadBytes: float64(n), PeakBytes: 3 * n, Note: "a UMLS dictionary of " + fmt.Sprint(n>>20) + " MiB"}
}

func (u *umls) run(in *input, path string) ([][]float64, error) {
	d, err := u.dictionary(in.ctx, path)
	if err != nil {
		return nil, err
	}
	in.ctx.Logf("dictionary: %s, %d names of %d concepts", d, d.Names(), d.Concepts())
	return u.Opts.values(in, d)
}

// dictionary reads the release, or what an earlier run made of the same files.
func (u *umls) dictionary(ctx *step.Context, path string) (*concepts.Dictionary, error) {
	f, err := concepts.FindFolder(path)
	if err != nil {
		return nil, err
	}
	r := f.RRFOptions
	if !f.Flagged {
		r.Lowercase = !u.Opts.KeepCase
	}
	if u.Opts.Language != "" {
		r.Language = u.Opts.Language
	}
	r.DropSuppressed = u.Opts.DropSuppressed
	r.Progress = func(done, total int64) error {
		ctx.Progress(done>>20, total>>20, "MiB of the UMLS release")
		return ctx.Err()
	}
	key := fmt.Sprintf("concepts 1 %s %v %v %v", r.Language, r.Lowercase, r.NormalizeUnicode, r.DropSuppressed)
	for _, file := range f.Files {
		sum, err := ctx.Digest(file)
		if err != nil {
			return nil, err
		}
		key += " " + sum
	}
	v, err := ctx.Once(key, func() (any, error) {
		dir, err := ctx.Cache(key)
		if err != nil {
			return concepts.ReadRRF(f.Path, r)
		}
		file := filepath.Join(dir, "dictionary")
		if _, err := os.Stat(file); err == nil {
			if d, err := concepts.Load(file); err == nil {
				return d, nil
			}
		}
		d, err := concepts.ReadRRF(f.Path, r)
		if err != nil {
			return nil, err
		}
		if err := d.Save(file); err != nil {
			ctx.Logf("the dictionary's index was not kept: %v", err)
		}
		return d, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*concepts.Dictionary), nil
}

// tiny writes a release of two concepts.
func (*umls) tiny(dir string) error {
	conso := "C0032285|ENG|P|L0|PF|S0|Y|A0||||TINY|PT|0|pneumonia|0|N||\nC0024109|ENG|P|L1|PF|S1|Y|A1||||TINY|PT|1|lung|0|N||\n"
	sty := "C0024109|T023|||||\nC0032285|T047|||||\n"
	return errors.Join(os.WriteFile(filepath.Join(dir, concepts.NamesFile), []byte(conso), 0o644),
		os.WriteFile(filepath.Join(dir, concepts.TypesFile), []byte(sty), 0o644))
}

var _ network = (*umls)(nil)
var _ measure = openConcepts{}
