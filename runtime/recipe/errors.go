package recipe

import (
	"fmt"
	"go/token"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// Error is one thing wrong with a recipe, with all that a reader needs.
type Error struct {
	Pos  token.Position // Column counts bytes from 1; Line 0 means the file as a whole
	Var  string         // the var it stands in, "" outside of vars
	Msg  string         // what is wrong, got and want; lower case, no full stop
	Hint string         // what to do about it; may be empty
	Line string         // the source line
	Len  int            // bytes the caret underlines from Pos; at least 1 is drawn
	Fix  []string       // commands that mend it
}

// Error is the one-line form: file:line:col: var x: message (hint).
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Pos.Filename)
	if e.Pos.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Pos.Line, e.Pos.Column)
	}
	b.WriteString(": ")
	if e.Var != "" {
		b.WriteString("var " + e.Var + ": ")
	}
	b.WriteString(e.Msg)
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Snippet is the source line with a caret under the position, in two lines
// that end with a newline; empty when there is no position.
func (e *Error) Snippet() string {
	if e.Pos.Line == 0 || strings.TrimSpace(e.Line) == "" {
		return ""
	}
	at := min(max(e.Pos.Column-1, 0), len(e.Line))
	end := min(at+max(e.Len, 1), len(e.Line))
	var pad strings.Builder // as wide as the text before, keeping tabs
	for _, r := range e.Line[:at] {
		if r == '\t' {
			pad.WriteByte('\t')
		} else {
			pad.WriteByte(' ')
		}
	}
	carets := strings.Repeat("^", max(utf8.RuneCountInString(e.Line[at:end]), 1))
	num := fmt.Sprintf("%5d", e.Pos.Line)
	return fmt.Sprintf("%s | %s\n%s | %s%s\n", num, e.Line, strings.Repeat(" ", len(num)), pad.String(), carets)
}

// Errors are all the errors of a recipe, in the order of the file.
type Errors []*Error

// Error shows every error with its snippet, which errors of one place share, and what mends them where that is more than
// one command.
func (es Errors) Error() string {
	var b strings.Builder
	var fixes []string
	for i, e := range es {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.Error())
		if s := e.Snippet(); s != "" && (i+1 == len(es) || es[i+1].Snippet() != s) {
			b.WriteString("\n" + strings.TrimSuffix(s, "\n"))
		}
		for _, f := range e.Fix {
			if !slices.Contains(fixes, f) {
				fixes = append(fixes, f)
			}
		}
	}
	if len(fixes) > 1 {
		b.WriteString("\nall that is missing and can be downloaded:\n  " + strings.Join(fixes, "\n  "))
	}
	return b.String()
}

// Unwrap lets errors.As find a single *Error.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// Sorted orders by position and keeps the first thing said of a place.
func (es Errors) Sorted() Errors {
	sort.SliceStable(es, func(a, b int) bool {
		p, q := es[a].Pos, es[b].Pos
		if p.Line != q.Line {
			return p.Line < q.Line
		}
		return p.Column < q.Column
	})
	var out Errors
	for _, e := range es {
		if n := len(out); n > 0 && e.Pos.Line > 0 && out[n-1].Pos == e.Pos {
			continue
		}
		out = append(out, e)
	}
	return out
}

// asError keeps a nil list from becoming a non-nil error.
func (es Errors) asError() error {
	if len(es) == 0 {
		return nil
	}
	return es
}

// fileError is an error about a file as a whole.
func fileError(path, hint, format string, a ...any) error {
	return Errors{{Pos: token.Position{Filename: path}, Msg: fmt.Sprintf(format, a...), Hint: hint}}
}
