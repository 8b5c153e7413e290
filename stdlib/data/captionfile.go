package data

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// captionFile is a file of captions by ID (Submissions).
type captionFile struct {
	path   string
	rows   []captionRow
	at     map[string]int  // rows by ID
	named  map[string]bool // IDs of rows that are wrong otherwise
	lines  int
	broken bool // not read to its end
}

type captionRow struct{ place, id, caption string }

func (f captionFile) ids() []string {
	var out []string
	for _, r := range f.rows {
		out = append(out, r.id)
	}
	return out
}

// readCaptions reads a file of captions, and lists all that is wrong with it.
func readCaptions(path string, allowEmpty bool) (captionFile, []badRow) {
	f := captionFile{path: path, at: map[string]int{}, named: map[string]bool{}}
	raw, err := os.ReadFile(path)
	if err != nil {
		f.broken = true
		return f, []badRow{{place: path + ":1", why: err.Error()}}
	}
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	bad := notUTF8(path, raw)
	f.lines = 1 + bytes.Count(bytes.TrimRight(raw, "\r\n"), []byte("\n"))
	read := f.readTable
	if ext := strings.ToLower(filepath.Ext(path)); ext == ".jsonl" || ext == ".ndjson" {
		read = f.readLines
	}
	if f.broken = len(bad) > 0; !f.broken {
		bad = read(raw, func(r captionRow) string { return f.add(r, allowEmpty) })
	}
	return f, bad
}

// notUTF8 lists the lines that are not UTF-8.
func notUTF8(path string, raw []byte) []badRow {
	var bad []badRow
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		if !utf8.Valid(line) {
			at := 0
			for r, size := utf8.DecodeRune(line); r != utf8.RuneError || size != 1; r, size = utf8.DecodeRune(line[at:]) {
				at += size
			}
			why := fmt.Sprintf("not UTF-8 (byte %#x at column %d): convert the file", line[at], at+1)
			if n == 1 && (bytes.HasPrefix(line, []byte{0xff, 0xfe}) || bytes.HasPrefix(line, []byte{0xfe, 0xff})) {
				return []badRow{{place: path + ":1", why: "the file is UTF-16: convert it to UTF-8"}}
			}
			bad = append(bad, badRow{place: fmt.Sprintf("%s:%d", path, n), why: why})
		}
	}
	return bad
}

// add takes a row, or says what is wrong with it.
func (f *captionFile) add(r captionRow, allowEmpty bool) (wrong string) {
	first, again := f.at[r.id]
	switch {
	case r.id == "":
		return "the ID is empty"
	case again:
		return "ID appears before, at " + f.rows[first].place
	case !allowEmpty && strings.TrimSpace(r.caption) == "":
		f.named[r.id] = true
		return "the caption is empty (AllowEmpty or --allow-empty accepts such captions in submissions)"
	}
	f.at[r.id] = len(f.rows)
	f.rows = append(f.rows, r)
	return ""
}

// separators of fields, the most usual first.
const separators = ",|\t;"

// readTable reads lines of ID and caption below a header.
func (f *captionFile) readTable(raw []byte, add func(captionRow) string) (bad []badRow) {
	head, _, _ := strings.Cut(string(raw), "\n")
	separator, at := headerOf(head)
	if separator == 0 {
		f.broken = true
		why := fmt.Sprintf("no header with ID and Caption; the first line is %q. Want a first line such as: ID,Caption", clip(strings.TrimSpace(head), 60))
		return []badRow{{place: f.path + ":1", why: why}}
	}
	r := csv.NewReader(bytes.NewReader(raw))
	r.Comma, r.FieldsPerRecord = separator, -1
	width := 0
	for {
		row, err := r.Read()
		var wrong *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return bad
		case errors.As(err, &wrong):
			bad = append(bad, badRow{place: fmt.Sprintf("%s:%d", f.path, wrong.StartLine), why: quotes(wrong)})
			f.broken = true
			continue
		case err != nil:
			return append(bad, badRow{place: f.path + ":1", why: err.Error()})
		}
		line, _ := r.FieldPos(0)
		place := fmt.Sprintf("%s:%d", f.path, line)
		if width == 0 {
			width = len(row)
			continue
		}
		id := ""
		if at[0] < len(row) {
			id = strings.TrimSpace(row[at[0]])
		}
		if len(row) != width {
			why := fmt.Sprintf("%d columns, want %d", len(row), width)
			if len(row) > width {
				why += fmt.Sprintf(": a caption with %q in it stands in double quotes", separator)
			}
			f.named[id] = true
			bad = append(bad, badRow{place, id, why})
			continue
		}
		if why := add(captionRow{place, id, row[at[1]]}); why != "" {
			bad = append(bad, badRow{place, id, why})
		}
	}
}

// headerOf finds the separator by which a first line has the columns ID and Caption, and where they stand; 0 if by none.
func headerOf(line string) (separator rune, at [2]int) {
	for _, s := range separators {
		fields := strings.Split(strings.TrimSpace(line), string(s))
		for i, f := range fields {
			fields[i] = strings.ToLower(strings.Trim(strings.TrimSpace(f), `"`))
		}
		at = [2]int{slices.Index(fields, "id"), slices.Index(fields, "caption")}
		if at[0] >= 0 && at[1] >= 0 {
			return s, at
		}
	}
	return 0, at
}

// quotes says what is wrong with the quotes of a line.
func quotes(err *csv.ParseError) string {
	switch {
	case errors.Is(err.Err, csv.ErrBareQuote):
		return fmt.Sprintf("column %d of the line: a double quote within a field that begins with none: put the field in double quotes, and double those within", err.Column)
	case errors.Is(err.Err, csv.ErrQuote) && err.Line > err.StartLine:
		return fmt.Sprintf("a double quote opens here and does not close before a separator up to line %d: one is missing, or one within the field is not doubled", err.Line)
	case errors.Is(err.Err, csv.ErrQuote):
		return fmt.Sprintf("column %d of the line: a double quote that ends a field is followed by text: double the quotes within a field", err.Column)
	}
	return err.Err.Error()
}

// readLines reads objects with id and caption, one per line.
func (f *captionFile) readLines(raw []byte, add func(captionRow) string) (bad []badRow) {
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		place := fmt.Sprintf("%s:%d", f.path, n)
		row := captionRow{place: place}
		why := object(line, &row)
		if why == "" {
			why = add(row)
		} else {
			f.named[row.id] = true
		}
		if why != "" {
			bad = append(bad, badRow{place, row.id, why})
		}
	}
	return bad
}

// object reads {"id": …, "caption": …}, the names in any case; an id may be a number.
func object(line []byte, row *captionRow) (wrong string) {
	var all map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&all); err != nil {
		return fmt.Sprintf("no JSON object on this line: %s; want {\"id\": …, \"caption\": …}", clip(string(line), 40))
	}
	fields := map[string]any{}
	for name, v := range all {
		fields[strings.ToLower(name)] = v
	}
	switch id := fields["id"].(type) {
	case string:
		row.id = strings.TrimSpace(id)
	case json.Number:
		row.id = id.String()
	case nil:
		return "no field \"id\""
	default:
		return fmt.Sprintf("the id is %v; want a string", id)
	}
	switch caption := fields["caption"].(type) {
	case string:
		row.caption = caption
	case nil:
		return "no field \"caption\""
	default:
		return fmt.Sprintf("the caption is %v; want a string", caption)
	}
	return ""
}

// clip shortens a text for a message.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}
