package frame

import (
	"errors"
	"fmt"
	"strings"
)

// Names of the standard columns of captions. Labels stand before them, scores
// add one Number column per metric after them.
const (
	ID        = "id"        // the example's identifier, as in the data set
	Image     = "image"     // image reference: a path, or what the data set can redraw
	Reference = "reference" // the caption written by people
	Caption   = "caption"   // the caption of the system
	Modality  = "modality"  // the example's true modality, "" when unknown
)

// Kind is the type of a column's values.
type Kind uint8

// The kinds of a column.
const (
	String Kind = iota
	Number      // float64; NaN means absent
	Bool
)

// String gives the kind's name in columns.json: string, number or bool.
func (k Kind) String() string {
	switch k {
	case String:
		return "string"
	case Number:
		return "number"
	case Bool:
		return "bool"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

func parseKind(s string) (Kind, error) {
	for _, k := range []Kind{String, Number, Bool} {
		if s == k.String() {
			return k, nil
		}
	}
	return 0, fmt.Errorf("unknown kind %q of a column (want string, number or bool)", s)
}

// Column describes one column. Only Name is needed.
type Column struct {
	Name  string // unique in its frame; an identifier, to be named in expressions
	Kind  Kind
	Label bool   // distinguishes systems ("system", "prompt"): always a String
	Title string // how tables head it; Name when empty
	Note  string // one line for a table's footer: what exactly the number is
	Lower bool   // a lower Number is better (a loss); otherwise higher is
	Fact  bool   // a Number that describes the system and rates nothing (its parameters): tables mark no best one
	// Decimals are those that tables print of a Number, with commas between thousands; 0: as many as the table's others,
	// NoDecimals: none.
	Decimals int
}

// NoDecimals is for columns of whole numbers.
const NoDecimals = -1

// Header is what a table writes above the column.
func (c Column) Header() string {
	if c.Title != "" {
		return c.Title
	}
	return c.Name
}

// CaptionColumns returns the columns of captions: the labels, then id, image,
// reference, caption and modality.
func CaptionColumns(labels ...string) []Column {
	cols := make([]Column, 0, len(labels)+5)
	for _, l := range labels {
		cols = append(cols, Column{Name: l, Label: true})
	}
	for _, n := range []string{ID, Image, Reference, Caption, Modality} {
		cols = append(cols, Column{Name: n})
	}
	return cols
}

func checkColumns(cols []Column) error {
	var errs []error
	seen := map[string]bool{}
	for i, c := range cols {
		switch {
		case strings.TrimSpace(c.Name) == "":
			errs = append(errs, fmt.Errorf("column %d has no name", i+1))
		case seen[c.Name]:
			errs = append(errs, fmt.Errorf("column %q stands twice", c.Name))
		case c.Kind > Bool:
			errs = append(errs, fmt.Errorf("column %q has the unknown %v", c.Name, c.Kind))
		case c.Label && c.Kind != String:
			errs = append(errs, fmt.Errorf("label %q is a %v column; labels are strings", c.Name, c.Kind))
		}
		seen[c.Name] = true
	}
	return errors.Join(errs...)
}

func find(cols []Column, name string) int {
	for i, c := range cols {
		if c.Name == name {
			return i
		}
	}
	return -1
}

func names(cols []Column) []string {
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = c.Name
	}
	return out
}

// Unknown is the error for a column that a frame does not have: it names the
// nearest column, or all of them.
func Unknown(name string, cols []Column) error {
	if n := Near(name, names(cols)); n != "" {
		return fmt.Errorf("no column %q; did you mean %q?", name, n)
	}
	return fmt.Errorf("no column %q (there are: %s)", name, strings.Join(names(cols), ", "))
}

// Near returns the candidate closest to name, or "" when none is close: at most
// a third of the letters (and at least one) may differ, case aside.
func Near(name string, candidates []string) string {
	best, dist := "", max(1, len([]rune(name))/3)+1
	for _, c := range candidates {
		if d := editDistance(strings.ToLower(name), strings.ToLower(c)); d < dist {
			best, dist = c, d
		}
	}
	return best
}

// editDistance counts insertions, deletions, substitutions and swaps of neighbours.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}
