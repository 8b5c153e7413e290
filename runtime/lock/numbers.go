package lock

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"lightbox/runtime/view"
)

// maxNumbers bounds what a lock records of one variable.
const maxNumbers = 400

// numeric is a cell that leads with a number: .632, 87.5%, 0.61 [0.58, 0.64],
// 0.61 ± 0.02.
var numeric = regexp.MustCompile(`^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*(%|\[|\(|±|$)`)

// Numbers reads the headline numbers off a view: for every table, row labels
// and column header → the cell's text. Views without tables have none.
func Numbers(v view.View) map[string]string {
	out := map[string]string{}
	var walk func(v view.View)
	walk = func(v view.View) {
		switch v := v.(type) {
		case view.List:
			for _, e := range v {
				walk(e)
			}
		case view.Table:
			tableNumbers(v, out)
		}
	}
	walk(v)
	if len(out) == 0 {
		return nil
	}
	return out
}

func tableNumbers(t view.Table, out map[string]string) {
	columns := columnNames(t.Header)
	group := ""
	var above map[int]string // names of the numbers of the last row, by column
	for _, row := range t.Rows {
		if row.Group {
			group = rowText(row.Cells)
			continue
		}
		var labels []string
		if group != "" {
			labels = append(labels, group)
		}
		at := 0
		leading := true
		here := map[int]string{}
		for _, c := range row.Cells {
			text := strings.TrimSpace(c.Text)
			isNumber := numeric.MatchString(text)
			switch {
			case isNumber && len(out) < maxNumbers:
				leading = false
				here[at] = unique(out, label(labels, columns, at))
				out[here[at]] = text
			case strings.HasPrefix(text, "[") && above[at] != "": // an interval below its number
				leading = false
				out[above[at]] += " " + text
			case leading && text != "":
				labels = append(labels, text)
			}
			at += max(c.Span, 1)
		}
		if len(here) > 0 {
			above = here
		}
	}
}

// unique numbers the second and later of equal names.
func unique(out map[string]string, name string) string {
	if _, dup := out[name]; !dup {
		return name
	}
	for i := 2; ; i++ {
		n := fmt.Sprintf("%s #%d", name, i)
		if _, dup := out[n]; !dup {
			return n
		}
	}
}

func label(row, columns []string, at int) string {
	parts := append([]string(nil), row...)
	if at < len(columns) && columns[at] != "" {
		parts = append(parts, columns[at])
	} else {
		parts = append(parts, fmt.Sprintf("column %d", at+1))
	}
	return strings.Join(parts, " / ")
}

func rowText(cells []view.Cell) string {
	var parts []string
	for _, c := range cells {
		if t := strings.TrimSpace(c.Text); t != "" {
			parts = append(parts, t)
		}
	}
	return strings.Join(parts, " ")
}

// columnNames joins the header lines above each column.
func columnNames(header [][]view.Cell) []string {
	var out []string
	for _, line := range header {
		at := 0
		for _, c := range line {
			for range max(c.Span, 1) {
				for len(out) <= at {
					out = append(out, "")
				}
				if t := strings.TrimSpace(c.Text); t != "" {
					out[at] = strings.TrimSpace(out[at] + " " + t)
				}
				at++
			}
		}
	}
	return out
}

var inCell = regexp.MustCompile(`[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?`)

// agree compares two cells from different kinds of devices: the value must
// lie in the other's interval where it states one ([lo, hi] or ± d), else
// within 1%.
func agree(a, b string) bool {
	if a == b {
		return true
	}
	x, y := values(a), values(b)
	if len(x) == 0 || len(y) == 0 {
		return false
	}
	return within(x[0], b, y) || within(y[0], a, x)
}

func values(s string) []float64 {
	var out []float64
	for _, m := range inCell.FindAllString(strings.ReplaceAll(s, "−", "-"), -1) {
		if v, err := strconv.ParseFloat(m, 64); err == nil {
			out = append(out, v)
		}
	}
	return out
}

func within(v float64, text string, of []float64) bool {
	switch {
	case strings.Contains(text, "±") && len(of) >= 2:
		return math.Abs(v-of[0]) <= of[1]
	case strings.ContainsAny(text, "[(") && len(of) >= 3:
		return v >= of[1] && v <= of[2]
	}
	return math.Abs(v-of[0]) <= 0.01*math.Max(math.Abs(v), math.Abs(of[0]))
}
