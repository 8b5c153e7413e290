package score

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
)

// ComponentAnalysis is the components of captions beside those of their references: coloured (its view), and counted
// (Counts). Components makes one.
type ComponentAnalysis struct {
	ref, captions step.Ref
	kinds         []Kind
	labels        []string
	film          func(ref string) ([]byte, error) // the PNG behind an image reference, nil where there is none
}

// Ref is the step of the counts.
func (a ComponentAnalysis) Ref() step.Ref { return a.ref }

// Refs implements step.Referrer: the counts, and the captions.
func (a ComponentAnalysis) Refs() []step.Ref { return []step.Ref{a.ref, a.captions} }

// paperKinds are the components of the paper's Tables 6 and 7.
var paperKinds = []Kind{ModalityNamed, Finding, Anatomy, Side, Marker, Size}

// kindTitles are their names there.
var kindTitles = map[Kind]string{ModalityNamed: "Image modality", Finding: "Pathological finding", Anatomy: "Anatomical location",
	Side: "Laterality", Marker: "Visual marker", Size: "Clinical measurement", Plane: "Imaging plane"}

// allComponents is the row of the counts over all kinds.
const allComponents = "All components"

// Components compares what captions and their references say of each component (the paper's Tables 6 and 7). With no kinds
// given: of image modality, pathological finding, anatomical location, laterality, visual marker and clinical measurement.
//
// The view shows the captions image by image, its picture where the frame can load it, then the reference and the captions, with each component in its colour, bold where the
// reference says it too: the same canonical term of the lexicon (lexicon.yaml), the same side, or a length in millimetres
// that is equal within the rounding of either ("19.27 mm", "19.3 mm", "2 cm"). Of many images it shows the first;
// Components(captions.At(id)) shows one.
//
// The frame needs the columns reference and caption. Negation is not understood, nor what is no term of the lexicon.
func Components(captions frame.Frame, ks ...Kind) ComponentAnalysis {
	if len(ks) == 0 {
		ks = paperKinds
	}
	var errs []error
	for _, k := range ks {
		errs = append(errs, component{Kind: k}.check())
	}
	for _, col := range []string{frame.Reference, frame.Caption} {
		if c, ok := captions.Column(col); captions.Known() && (!ok || c.Kind != frame.String) {
			errs = append(errs, fmt.Errorf("the analysis of components needs texts: %w", frame.Unknown(col, captions.Columns())))
		}
	}
	if c, ok := captions.Column(componentLabel); ok {
		errs = append(errs, fmt.Errorf("the frame has a column %q already", c.Name))
	}
	op := componentsOp
	if err := errors.Join(errs...); err != nil {
		bad := *op
		bad.Check = func(step.Step) []error { return []error{err} }
		op = &bad
	}
	return ComponentAnalysis{ref: step.New(op, componentsParams{ks, lexiconHash()}, captions.Ref()), captions: captions.Ref(), kinds: ks, labels: captions.LabelKeys(), film: captions.Picture}
}

// Counts are numbers of terms, one row per caption and component: named by the reference, said by the caption, and shared
// by both, each term once. The component is a label, "All components" the sum. table.Components makes precision, recall and
// F1 of them:
//
//	table.New(score.Components(captions).Counts(), table.Rows("system"), table.Group("component"), table.Components())
func (a ComponentAnalysis) Counts() frame.Frame { return frame.New(a.ref, countColumns(a.labels)) }

const componentLabel = "component"

func countColumns(labels []string) []frame.Column {
	var cols []frame.Column
	for _, l := range append(labels[:len(labels):len(labels)], componentLabel) {
		cols = append(cols, frame.Column{Name: l, Label: true})
	}
	return append(cols, frame.Column{Name: frame.ID}, frame.Column{Name: "named", Kind: frame.Number, Title: "Named"},
		frame.Column{Name: "said", Kind: frame.Number, Title: "Said"}, frame.Column{Name: "shared", Kind: frame.Number, Title: "Shared"})
}

type componentsParams struct {
	Kinds   []Kind
	Lexicon string
}

var componentsOp = &step.Op{Name: "score.Components", Version: "1", Run: func(ctx *step.Context, dir string) error {
	rows, err := frame.Read(ctx.Input(0))
	if err != nil {
		return err
	}
	var labels []string
	for _, c := range rows.Columns() {
		if c.Label {
			labels = append(labels, c.Name)
		}
	}
	ks := ctx.Step().Params.(componentsParams).Kinds
	out := frame.NewRows(countColumns(labels))
	said := mentioner(ks)
	for i := range rows.Len() {
		if i%256 == 0 {
			ctx.Progress(int64(i), int64(rows.Len()), "captions")
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		ref, caption := said(rows.String(i, frame.Reference)), said(rows.String(i, frame.Caption))
		var all counts
		for _, k := range ks {
			n := align(ref.of(k), caption.of(k)).counts
			all.named, all.said, all.shared = all.named+n.named, all.said+n.said, all.shared+n.shared
			addCounts(out, rows, i, kindTitles[k], n)
		}
		addCounts(out, rows, i, allComponents, all)
	}
	return out.Write(dir)
}}

func addCounts(out, rows *frame.Rows, i int, component string, n counts) {
	at := out.Add()
	for _, l := range rows.Labels(i) {
		out.SetString(at, l.Key, l.Value)
	}
	out.SetString(at, componentLabel, component)
	id := fmt.Sprintf("row %d", i+1)
	if rows.Has(frame.ID) {
		id = rows.String(i, frame.ID)
	}
	out.SetString(at, frame.ID, id)
	out.SetNumber(at, "named", float64(n.named))
	out.SetNumber(at, "said", float64(n.said))
	out.SetNumber(at, "shared", float64(n.shared))
}

// mentions are those of a text.
type mentions []Mention

func (ms mentions) of(k Kind) mentions {
	var out mentions
	for _, m := range ms {
		if m.Kind == k {
			out = append(out, m)
		}
	}
	return out
}

// mentioner finds the mentions of texts, of each once however often it comes.
func mentioner(ks []Kind) func(string) mentions {
	seen := map[string]mentions{}
	return func(s string) mentions {
		m, ok := seen[s]
		if !ok {
			m = Mentions(s, ks...)
			seen[s] = m
		}
		return m
	}
}

// counts are distinct terms of a reference, of a caption, and of both.
type counts struct{ named, said, shared int }

// alignment is which terms of a caption its reference has too.
type alignment struct {
	counts
	terms map[string]bool // of the caption, matched
}

// align matches mentions of one kind. Lengths go to the nearest one of the other text that equals them within the coarser
// rounding, each to one.
func align(ref, caption mentions) alignment {
	named, said := ref.distinct(), caption.distinct()
	a := alignment{counts{named: len(named), said: len(said)}, map[string]bool{}}
	taken := map[string]bool{}
	for {
		best, of, by := math.Inf(1), "", ""
		for _, c := range said {
			for _, r := range named {
				if d := c.apart(r); !a.terms[c.Term] && !taken[r.Term] && d < best {
					best, of, by = d, c.Term, r.Term
				}
			}
		}
		if math.IsInf(best, 1) {
			return a
		}
		a.terms[of], taken[by] = true, true
		a.shared++
	}
}

// apart is how far two mentions of a kind lie apart: 0 for the same term, infinitely for what is not the same.
func (m Mention) apart(o Mention) float64 {
	if m.Term == o.Term {
		return 0
	}
	if d := math.Abs(m.mm - o.mm); m.Kind == Size && d <= max(m.half, o.half)*(1+1e-9) {
		return d
	}
	return math.Inf(1)
}

func (ms mentions) distinct() mentions {
	var out mentions
	seen := map[string]bool{}
	for _, m := range ms {
		if !seen[m.Term] {
			seen[m.Term] = true
			out = append(out, m)
		}
	}
	return out
}

// labelsText joins the values of labels: "LoRA, +Modality".
func labelsText(l frame.Labels) string {
	var values []string
	for _, x := range l {
		if x.Value != "" {
			values = append(values, x.Value)
		}
	}
	if len(values) == 0 {
		return "caption"
	}
	return strings.Join(values, ", ")
}
