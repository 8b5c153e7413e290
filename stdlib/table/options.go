package table

import "lightbox/stdlib/stats"

// Option changes what a table shows. Options are made by the functions of this
// package; of two that say the same thing the later one holds.
type Option interface{ apply(*params) }

type option func(*params)

func (o option) apply(p *params) { o(p) }

// Options makes one option of several, in order; one of none changes nothing.
func Options(opts ...Option) Option {
	return option(func(p *params) {
		for _, o := range opts {
			if o != nil {
				o.apply(p)
			}
		}
	})
}

// params is everything that a table is made of besides the scores.
type params struct {
	Rows       []string // labels that make a line
	Group      string   // label that makes a heading
	Columns    []string // a column, or "name = expression"
	Lenient    bool     // columns that the scores lack are left out, with all that derives from them, and named in a note
	Titles     []pair   // column or label -> heading
	Lower      []string // columns in which less is better
	Sort       string
	Over       string // label that is averaged over, with its deviation
	Changes    []change
	Level      float64 // of intervals; 0 is none
	Resampling stats.Resampling
	Title      string
	Caption    string
	Notes      []string
	Digits     int // decimals + 1, so that zero is the default
	Plain      bool
}

type pair struct{ Key, Value string }

// change asks for a line below every line that differs from a baseline.
type change struct {
	Label, Base string
	Of          []string // values of Label that get one; empty is all
	Kind        changeKind
}

type changeKind string

const (
	percent  changeKind = "percent"
	absolute changeKind = "absolute"
	paired   changeKind = "paired"

	published  changeKind = "published"  // a line of published values (Beside)
	difference changeKind = "difference" // ours less those
)

// Rows names the labels that make a line of the table, in the order of their
// columns: Rows("system", "prompt"). Without it all labels do.
func Rows(labels ...string) Option { return option(func(p *params) { p.Rows = labels }) }

// Group puts a heading over the lines that share a label's value: Group("family").
func Group(label string) Option { return option(func(p *params) { p.Group = label }) }

// Columns names the columns in order. Each is a Number column of the scores, or
// a derived one, "overall = mean(rouge1, rougel)", whose expression reads the
// line's means, its labels, and derived columns named before. Without it all
// Number columns are shown.
func Columns(columns ...string) Option {
	return option(func(p *params) { p.Columns, p.Lenient = columns, false })
}

// Head gives a column or a label another heading: Head("overall", "Overall").
func Head(column, title string) Option {
	return option(func(p *params) { p.Titles = append(p.Titles, pair{column, title}) })
}

// LowerIsBetter declares the direction of columns; metrics declare their own,
// derived columns are better when higher unless named here.
func LowerIsBetter(columns ...string) Option {
	return option(func(p *params) { p.Lower = append(p.Lower, columns...) })
}

// Sort orders the lines of each group by a column, ascending; "-overall" descends.
// Without it lines stand in the order of the scores.
func Sort(column string) Option { return option(func(p *params) { p.Sort = column }) }

// MeanSD averages over a label that makes no line of its own (the seeds of
// repeated runs) and shows mean ± standard deviation over its values.
func MeanSD(label string) Option { return option(func(p *params) { p.Over = label }) }

// Change adds below each line its change in percent against the line whose label
// has the value base and whose other labels are equal: Change("prompt", "").
// of limits it to some values of the label.
func Change(label, base string, of ...string) Option {
	return option(func(p *params) { p.Changes = append(p.Changes, change{label, base, of, percent}) })
}

// Difference is Change in absolute numbers.
func Difference(label, base string, of ...string) Option {
	return option(func(p *params) { p.Changes = append(p.Changes, change{label, base, of, absolute}) })
}

// Versus adds below each line its paired difference from the baseline's, image
// by image, with a bootstrap interval (95% unless CI says otherwise); table.json
// also holds the P of the paired permutation test, as it is and after Holm's correction over the column's tests.
func Versus(label, base string, of ...string) Option {
	return option(func(p *params) { p.Changes = append(p.Changes, change{label, base, of, paired}) })
}

// CI adds bootstrap intervals of every mean, resampling images: CI(0.95).
func CI(level float64) Option { return option(func(p *params) { p.Level = level }) }

// Resamples sets how intervals are computed: how many resamples (default 2000)
// and by which method. The seed is the recipe's.
func Resamples(n int, method stats.Method) Option {
	return option(func(p *params) { p.Resampling = stats.Resampling{N: n, Method: method} })
}

// Title heads the table.
func Title(text string) Option { return option(func(p *params) { p.Title = text }) }

// Caption is the sentence below the title.
func Caption(text string) Option { return option(func(p *params) { p.Caption = text }) }

// Note adds a line below the table: what was left out, what a label means.
func Note(text ...string) Option {
	return option(func(p *params) { p.Notes = append(p.Notes, text...) })
}

// Digits sets the number of decimals (default 3).
func Digits(n int) Option {
	return option(func(p *params) {
		p.Digits = n + 1
		if n < 0 {
			p.Digits = n
		}
	})
}

// NoMarks leaves best and second unmarked.
func NoMarks() Option { return option(func(p *params) { p.Plain = true }) }

func (p params) digits() int {
	switch {
	case p.Digits == 0:
		return 3
	case p.Digits < 0: // refused by check
		return p.Digits
	}
	return p.Digits - 1
}

func (p params) level() float64 {
	if p.Level == 0 {
		return 0.95
	}
	return p.Level
}

// rowLabels are the labels that make a line; all but Over and Group by default.
func (p params) rowLabels(all []string) []string {
	if len(p.Rows) > 0 {
		return p.Rows
	}
	var out []string
	for _, l := range all {
		if l != p.Over && l != p.Group {
			out = append(out, l)
		}
	}
	return out
}
