package frame

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
)

const (
	columnsFile = "columns.json"
	rowsFile    = "rows.jsonl"
)

type fileColumn struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Label bool   `json:"label,omitempty"`
	Title string `json:"title,omitempty"`
	Note  string `json:"note,omitempty"`
	Lower bool   `json:"lower,omitempty"`
	Fact  bool   `json:"fact,omitempty"`

	Decimals int `json:"decimals,omitempty"`
}

type fileHead struct {
	Rows    int          `json:"rows"`
	Columns []fileColumn `json:"columns"`
}

// Write stores the rows in dir as columns.json and rows.jsonl. The bytes are a
// function of the rows alone: keys in column order, numbers with the fewest
// digits that read back to the same float64, absent numbers as null.
func (r *Rows) Write(dir string) error {
	if err := errors.Join(checkColumns(r.cols), r.check()); err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	head := fileHead{Rows: r.n, Columns: []fileColumn{}}
	for _, c := range r.cols {
		head.Columns = append(head.Columns, fileColumn{c.Name, c.Kind.String(), c.Label, c.Title, c.Note, c.Lower, c.Fact, c.Decimals})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(head); err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, columnsFile), b.Bytes(), 0o666); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, rowsFile))
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	r.writeJSONL(w)
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		return fmt.Errorf("frame: write %s: %w", rowsFile, err)
	}
	return nil
}

// writeJSONL leaves errors to the writer's Flush.
func (r *Rows) writeJSONL(w *bufio.Writer) {
	keys := make([][]byte, len(r.cols))
	for c, col := range r.cols {
		keys[c] = append(quote(col.Name), ':')
	}
	var num []byte
	for i := range r.n {
		w.WriteByte('{')
		for c, col := range r.cols {
			if c > 0 {
				w.WriteByte(',')
			}
			w.Write(keys[c])
			switch col.Kind {
			case String:
				w.Write(quote(r.str[c][i]))
			case Number:
				num = appendNumber(num[:0], r.num[c][i])
				w.Write(num)
			case Bool:
				w.WriteString(strconv.FormatBool(r.yes[c][i]))
			}
		}
		w.WriteString("}\n")
	}
}

func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil { // a string always encodes
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func appendNumber(b []byte, v float64) []byte {
	if math.IsNaN(v) {
		return append(b, "null"...)
	}
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(b, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

// Read loads the rows that Write stored. Errors name the file and line, and the
// column with what it holds.
func Read(dir string) (*Rows, error) {
	head, err := readHead(filepath.Join(dir, columnsFile))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, rowsFile)
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows := NewRows(head.columns)
	in := bufio.NewReaderSize(f, 1<<16)
	for line := 1; ; line++ {
		text, err := in.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("%s:%d: %w", path, line, err)
		}
		if len(bytes.TrimSpace(text)) > 0 {
			if err := rows.parse(text); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, line, err)
			}
		}
		if err == io.EOF {
			break
		}
	}
	if rows.n != head.rows {
		return nil, fmt.Errorf("%s: %d rows, but %s promises %d", path, rows.n, columnsFile, head.rows)
	}
	return rows, nil
}

type head struct {
	rows    int
	columns []Column
}

func readHead(path string) (head, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return head{}, err
	}
	var h fileHead
	if err := json.Unmarshal(text, &h); err != nil {
		return head{}, fmt.Errorf("%s: %w", path, err)
	}
	out := head{rows: h.Rows}
	for _, c := range h.Columns {
		k, err := parseKind(c.Kind)
		if err != nil {
			return head{}, fmt.Errorf("%s: column %q: %w", path, c.Name, err)
		}
		out.columns = append(out.columns, Column{c.Name, k, c.Label, c.Title, c.Note, c.Lower, c.Fact, c.Decimals})
	}
	if err := checkColumns(out.columns); err != nil {
		return head{}, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

// parse appends the row of one line.
func (r *Rows) parse(line []byte) error {
	var m map[string]any
	if err := json.Unmarshal(line, &m); err != nil {
		return err
	}
	i := r.Add()
	for c, col := range r.cols {
		v, ok := m[col.Name]
		if !ok {
			return fmt.Errorf("column %q is missing", col.Name)
		}
		delete(m, col.Name)
		good := false
		switch col.Kind {
		case String:
			r.str[c][i], good = v.(string)
		case Number:
			if v == nil {
				good = true // absent, as Add left it
			} else {
				r.num[c][i], good = v.(float64)
			}
		case Bool:
			r.yes[c][i], good = v.(bool)
		}
		if !good {
			return fmt.Errorf("column %q: got %s, want a %v", col.Name, jsonOf(v), col.Kind)
		}
	}
	for _, name := range sortedKeys(m) {
		return fmt.Errorf("key %q is no column of %s", name, columnsFile)
	}
	return nil
}

func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(b) > 60 {
		return string(b[:57]) + "..."
	}
	return string(b)
}
