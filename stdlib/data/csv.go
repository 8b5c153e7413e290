package data

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/stdlib/text"
)

func firstLine(raw []byte) []string {
	row, err := newCSV(raw).Read()
	if err != nil {
		return nil
	}
	return row
}

func newCSV(raw []byte) *csv.Reader {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\ufeff"))))
	r.FieldsPerRecord = -1
	return r
}

// columns finds the wanted columns of a CSV header, ignoring case.
func columns(file string, header []string, want ...string) ([]int, error) {
	if len(header) == 0 {
		return nil, fmt.Errorf("%s: empty file, want a header with the columns %s", file, strings.Join(want, ", "))
	}
	at := make([]int, len(want))
	for i, w := range want {
		at[i] = slices.IndexFunc(header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), w) })
		if at[i] >= 0 {
			continue
		}
		msg := fmt.Sprintf("%s:1: no column %q, the header has %q", file, w, header)
		if near, ok := text.Nearest(w, header); ok {
			msg += fmt.Sprintf("; is %q meant?", near)
		}
		return nil, errors.New(msg)
	}
	return at, nil
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}

// concepts reads the optional concept tables of a split.
func (rd *reading) concepts(split string) (all, manual map[string][]string, err error) {
	if all, err = readConcepts(filepath.Join(rd.root, split+"_concepts.csv")); err != nil {
		return nil, nil, err
	}
	manual, err = readConcepts(filepath.Join(rd.root, split+"_concepts_manual.csv"))
	return all, manual, err
}

func readConcepts(name string) (map[string][]string, error) {
	raw, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	rows, err := newCSV(raw).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(rows) == 0 {
		rows = [][]string{nil}
	}
	at, err := columns(name, rows[0], "ID", "CUIs")
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for i, row := range rows[1:] {
		if len(row) <= max(at[0], at[1]) {
			return nil, fmt.Errorf("%s: row %d has %d columns, want %d", name, i+2, len(row), len(rows[0]))
		}
		list := []string{}
		for _, cui := range strings.Split(row[at[1]], ";") {
			if cui = strings.TrimSpace(cui); cui != "" && cui != "nan" {
				list = append(list, cui)
			}
		}
		out[strings.TrimSpace(row[at[0]])] = list
	}
	return out, nil
}
