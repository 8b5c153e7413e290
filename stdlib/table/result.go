package table

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
)

const (
	tableFile = "table.json"
	csvFile   = "table.csv"
)

// number is a float64 that is null in JSON when absent.
type number float64

func absent() number { return number(math.NaN()) }

// MarshalJSON writes the fewest digits that read back to the same float64.
func (n number) MarshalJSON() ([]byte, error) {
	v := float64(n)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, v, 'g', -1, 64), nil
}

// UnmarshalJSON reads null as absent.
func (n *number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = absent()
		return nil
	}
	v, err := strconv.ParseFloat(string(b), 64)
	*n = number(v)
	return err
}

// interval is a confidence interval of a cell.
type interval struct {
	Low  number `json:"low"`
	High number `json:"high"`
}

// cell is one number of the table.
type cell struct {
	Value    number    `json:"value"`
	N        int       `json:"n,omitempty"`  // images with a value
	SD       *number   `json:"sd,omitempty"` // over the values of the label averaged over
	Interval *interval `json:"interval,omitempty"`
	P        *number   `json:"p,omitempty"`       // paired permutation test
	Holm     *number   `json:"p_holm,omitempty"`  // the same, adjusted over the tests of the column
	Outside  bool      `json:"outside,omitempty"` // a published value beyond our interval
}

// delta is a line of changes.
type delta struct {
	Kind  changeKind `json:"kind"`
	Label string     `json:"label"`
	Base  string     `json:"base"`
	N     int        `json:"n,omitempty"` // images in both lines, of a paired one
	Cells []cell     `json:"cells"`
}

// line is one line of the table.
type line struct {
	Labels []string `json:"labels"`
	Group  string   `json:"group,omitempty"`
	Images int      `json:"images"`
	Cells  []cell   `json:"cells"`
	Deltas []delta  `json:"changes,omitempty"`
	Block  int      `json:"block"` // lines of one block stand together
}

// result is the artifact.
type result struct {
	Title       string   `json:"title,omitempty"`
	Caption     string   `json:"caption,omitempty"`
	Labels      []string `json:"labels"`
	LabelTitles []string `json:"label_titles"`
	Columns     []column `json:"columns"`
	Lines       []line   `json:"lines"`
	Notes       []string `json:"notes,omitempty"`
	Digits      int      `json:"digits"`
	NoMarks     bool     `json:"no_marks,omitempty"`
	Level       float64  `json:"level,omitempty"` // of the intervals
	Resampling  string   `json:"resampling,omitempty"`
	Rehearsal   bool     `json:"rehearsal,omitempty"`
}

func (r *result) write(dir string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(r); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, tableFile), b.Bytes(), 0o666); err != nil {
		return err
	}
	b.Reset()
	w := csv.NewWriter(&b)
	if err := w.WriteAll(r.csv()); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, csvFile), b.Bytes(), 0o666)
}

// csv is the table as records: labels, images, and per column the value with
// its deviation and interval where there are any. Changes are not in it.
func (r *result) csv() [][]string {
	var sd, iv bool
	for _, l := range r.Lines {
		for _, c := range l.Cells {
			sd, iv = sd || c.SD != nil, iv || c.Interval != nil
		}
	}
	head := append([]string{}, r.Labels...)
	head = append(head, "images")
	for _, c := range r.Columns {
		head = append(head, c.Name)
		if sd {
			head = append(head, c.Name+"_sd")
		}
		if iv {
			head = append(head, c.Name+"_low", c.Name+"_high")
		}
	}
	out := [][]string{head}
	for _, l := range r.Lines {
		rec := append([]string{}, l.Labels...)
		rec = append(rec, strconv.Itoa(l.Images))
		for _, c := range l.Cells {
			rec = append(rec, plain(c.Value))
			if sd {
				rec = append(rec, plainOf(c.SD))
			}
			if iv {
				low, high := absent(), absent()
				if c.Interval != nil {
					low, high = c.Interval.Low, c.Interval.High
				}
				rec = append(rec, plain(low), plain(high))
			}
		}
		out = append(out, rec)
	}
	return out
}

// plain is a number with all its digits, "" when absent.
func plain(n number) string {
	if math.IsNaN(float64(n)) {
		return ""
	}
	return strconv.FormatFloat(float64(n), 'g', -1, 64)
}

func plainOf(n *number) string {
	if n == nil {
		return ""
	}
	return plain(*n)
}

func readResult(dir string) (*result, error) {
	path := filepath.Join(dir, tableFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r result
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, l := range r.Lines {
		if len(l.Cells) != len(r.Columns) || len(l.Labels) != len(r.Labels) {
			return nil, fmt.Errorf("%s: line %q has %d cells and %d labels, the table %d columns and %d labels", path, l.Labels, len(l.Cells), len(l.Labels), len(r.Columns), len(r.Labels))
		}
	}
	return &r, nil
}
