package table

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"

	"lightbox/runtime/view"
)

// View lays the table out: labels, then columns; best and second marked; groups
// as headings; changes below their lines.
func (t Table) View(dirs []string) (view.View, error) {
	if len(dirs) != 1 {
		return nil, fmt.Errorf("table: view of %d artifacts, want 1", len(dirs))
	}
	r, err := readResult(dirs[0])
	if err != nil {
		return nil, err
	}
	return r.view(), nil
}

func (r *result) view() view.Table {
	t := view.Table{Title: r.Title, Caption: r.Caption, Footer: r.Notes, Full: r.csv()}
	if r.Rehearsal {
		t.Title = "REHEARSAL " + t.Title
	}
	var head []view.Cell
	for _, l := range r.LabelTitles {
		head = append(head, view.Cell{Text: l})
		t.Align = append(t.Align, view.Left)
	}
	for _, c := range r.Columns {
		head = append(head, view.Cell{Text: c.Title})
		t.Align = append(t.Align, view.Right)
	}
	t.Header = [][]view.Cell{head}
	marks := r.marks()
	for i, l := range r.Lines {
		changed := i > 0 && l.Block != r.Lines[i-1].Block
		if l.Group != "" && (i == 0 || l.Group != r.Lines[i-1].Group) {
			t.Rows = append(t.Rows, view.Row{Group: true, Rule: i > 0, Cells: []view.Cell{{Text: l.Group, Span: len(head)}}})
			changed = false
		}
		t.Rows = append(t.Rows, r.lineRow(l, marks[i], changed))
		if r.hasIntervals(l) {
			t.Rows = append(t.Rows, r.intervalRow(l.Cells))
		}
		for _, d := range l.Deltas {
			t.Rows = append(t.Rows, r.deltaRows(d)...)
		}
	}
	return t
}

func (r *result) lineRow(l line, marks []view.Mark, rule bool) view.Row {
	row := view.Row{Rule: rule}
	for _, v := range l.Labels {
		row.Cells = append(row.Cells, view.Cell{Text: v})
	}
	for c, x := range l.Cells {
		text := r.format(c, x.Value)
		if x.SD != nil && !math.IsNaN(float64(*x.SD)) && !r.Columns[c].Fact {
			text += " ± " + r.format(c, *x.SD)
		}
		row.Cells = append(row.Cells, view.Cell{Text: text, Mark: marks[c]})
	}
	return row
}

func (r *result) hasIntervals(l line) bool {
	for _, c := range l.Cells {
		if c.Interval != nil {
			return true
		}
	}
	return false
}

// blank starts a row below a line: empty labels, text in the column of label.
func (r *result) blank(label, text string) view.Row {
	row := view.Row{Change: true, Cells: make([]view.Cell, len(r.Labels), len(r.Labels)+len(r.Columns))}
	at := len(r.Labels) - 1
	for k, l := range r.Labels {
		if l == label {
			at = k
		}
	}
	for k := range row.Cells {
		row.Cells[k].Dim = true
	}
	if at >= 0 {
		row.Cells[at].Text = text
	}
	return row
}

func (r *result) intervalRow(cells []cell) view.Row {
	row := r.blank("", "")
	for i, c := range cells {
		text := ""
		if c.Interval != nil && !math.IsNaN(float64(c.Interval.Low)) {
			text = "[" + r.format(i, c.Interval.Low) + ", " + r.format(i, c.Interval.High) + "]"
		}
		row.Cells = append(row.Cells, view.Cell{Text: text, Dim: true})
	}
	return row
}

func (r *result) deltaRows(d delta) []view.Row {
	name := map[changeKind]string{percent: "Change", absolute: "Difference", paired: "vs. " + d.Base, published: "Published", difference: "Difference"}[d.Kind]
	if d.Base == "" && d.Kind == paired {
		name = "Difference"
	}
	row := r.blank(d.Label, name)
	for i, c := range d.Cells {
		text := r.formatDelta(d.Kind, i, c.Value)
		if c.Outside {
			text += outsideMark
		}
		if c.Holm != nil && float64(*c.Holm) < 1-r.Level {
			text += foundMark
		}
		row.Cells = append(row.Cells, view.Cell{Text: text, Dim: true})
	}
	if d.Kind != paired {
		return []view.Row{row}
	}
	return []view.Row{row, r.intervalRow(d.Cells)}
}

// decimals are those of a column, and whether it groups thousands.
func (r *result) decimals(column int) (n int, grouped bool) {
	switch d := r.Columns[column].Decimals; {
	case d > 0:
		return d, true
	case d < 0:
		return 0, true
	}
	return r.Digits, false
}

func (r *result) format(column int, n number) string {
	if math.IsNaN(float64(n)) {
		return "–"
	}
	digits, grouped := r.decimals(column)
	s := strconv.FormatFloat(float64(n), 'f', digits, 64)
	if strings.Trim(s, "-0.") == "" {
		s = strings.TrimPrefix(s, "-") // rounds to nothing
	}
	if grouped {
		s = thousands(s)
	}
	return s
}

// thousands puts commas into a number's digits: 40,108,032.
func thousands(s string) string {
	end := strings.IndexByte(s, '.')
	if end < 0 {
		end = len(s)
	}
	for i := end - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// formatDelta writes a change with its sign; one that rounds to nothing has none.
func (r *result) formatDelta(kind changeKind, column int, n number) string {
	v := float64(n)
	if math.IsNaN(v) {
		return "–"
	}
	if kind == published {
		return r.format(column, n)
	}
	digits, grouped := r.decimals(column)
	unit := ""
	if kind == percent {
		digits, unit = 1, "%"
	}
	s := strconv.FormatFloat(math.Abs(v), 'f', digits, 64)
	if zero, _ := strconv.ParseFloat(s, 64); zero == 0 {
		return s + unit
	}
	if grouped {
		s = thousands(s)
	}
	if v < 0 {
		return "-" + s + unit
	}
	return "+" + s + unit
}

// marks finds the best and second values of each column as they are printed:
// equal ones share a mark. There is no second behind two that are best, nor
// among two lines, and no best where all are equal.
func (r *result) marks() [][]view.Mark {
	out := make([][]view.Mark, len(r.Lines))
	for i := range out {
		out[i] = make([]view.Mark, len(r.Columns))
	}
	if r.NoMarks {
		return out
	}
	for c, col := range r.Columns {
		if col.Fact {
			continue
		}
		printed := func(i int) (float64, bool) {
			v, err := strconv.ParseFloat(strings.ReplaceAll(r.format(c, r.Lines[i].Cells[c].Value), ",", ""), 64)
			return v, err == nil
		}
		var values []float64
		seen := map[float64]bool{}
		lines, first := 0, 0
		for i := range r.Lines {
			if v, ok := printed(i); ok {
				lines++
				if !seen[v] {
					seen[v] = true
					values = append(values, v)
				}
			}
		}
		if len(values) < 2 {
			continue
		}
		sort.Slice(values, func(i, j int) bool { return (values[i] > values[j]) != col.Lower })
		for i := range r.Lines {
			if v, ok := printed(i); ok && v == values[0] {
				first++
			}
		}
		for i := range r.Lines {
			switch v, ok := printed(i); {
			case ok && v == values[0]:
				out[i][c] = view.Best
			case ok && v == values[1] && lines > 2 && first == 1:
				out[i][c] = view.Second
			}
		}
	}
	return out
}
