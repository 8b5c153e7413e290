package report

import (
	"encoding/csv"
	"io"

	"lightbox/runtime/view"
)

// CSV writes a table's Records.
func CSV(w io.Writer, t view.Table) error { return csv.NewWriter(w).WriteAll(Records(t)) }

// Records are a table's records (view.Table.Full) where it has them, and otherwise its texts as they are shown: one header
// line (names of spanning cells stand before those of their columns), then every row. A table with group headings gets the
// heading as a first column. Marks and notes are not in them.
func Records(t view.Table) [][]string {
	if t.Full != nil {
		return t.Full
	}
	grouped := false
	for _, r := range t.Rows {
		grouped = grouped || r.Group
	}
	n := columnsOf(t)
	head := heads(t)
	if grouped {
		head = append([]string{"group"}, head...)
	}
	out := [][]string{head}
	group := ""
	for _, r := range t.Rows {
		if r.Group {
			group = groupText(r)
			continue
		}
		rec := make([]string, 0, n+1)
		if grouped {
			rec = append(rec, group)
		}
		used := 0
		for _, c := range r.Cells {
			rec = append(rec, visible(c.Text))
			for range max(1, c.Span) - 1 {
				rec = append(rec, "")
			}
			used += max(1, c.Span)
		}
		for ; used < n; used++ {
			rec = append(rec, "")
		}
		out = append(out, rec)
	}
	return out
}
