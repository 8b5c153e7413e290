package table

import (
	"lightbox/stdlib/frame"
)

// Data is what a computed table holds, for those who draw it.
type Data struct {
	Title     string
	Labels    []string // of lines
	Columns   []string
	Titles    []string // headings of columns
	Lower     []bool   // less is better, by column
	Lines     []Line
	Notes     []string
	Level     float64 // of the intervals; 0 is none
	Rehearsal bool
}

// Line is one line of a table. A value that is absent is NaN; so are the ends
// of an interval that was not asked for.
type Line struct {
	Labels            []string // parallel to Data.Labels
	Group             string
	Images            int
	Values, Low, High []float64 // parallel to Data.Columns
}

// ReadData reads a table from the artifact of its step.
func ReadData(dir string) (*Data, error) {
	r, err := readResult(dir)
	if err != nil {
		return nil, err
	}
	d := &Data{Title: r.Title, Labels: r.Labels, Notes: r.Notes, Level: r.Level, Rehearsal: r.Rehearsal}
	for _, c := range r.Columns {
		d.Columns, d.Titles, d.Lower = append(d.Columns, c.Name), append(d.Titles, c.Title), append(d.Lower, c.Lower)
	}
	for _, l := range r.Lines {
		x := Line{Labels: l.Labels, Group: l.Group, Images: l.Images}
		for _, c := range l.Cells {
			low, high := absent(), absent()
			if c.Interval != nil {
				low, high = c.Interval.Low, c.Interval.High
			}
			x.Values, x.Low, x.High = append(x.Values, float64(c.Value)), append(x.Low, float64(low)), append(x.High, float64(high))
		}
		d.Lines = append(d.Lines, x)
	}
	return d, nil
}

// Columns are the columns that the table will show, and Known tells whether
// they are known yet: of a table in error they are not.
func (t Table) Columns() []frame.Column { return t.columns }

// Known tells whether the table's columns and labels are known.
func (t Table) Known() bool { return t.known }

// LabelKeys are the labels that make a line of the table.
func (t Table) LabelKeys() []string { return t.labels }
