package session

import (
	"io"
	"os"
	"strconv"

	"github.com/mattn/go-isatty"

	"lightbox/runtime/report"
)

// defaultWidth is that of results in a pipe or file.
const defaultWidth = 120

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// Style is how results look on w: as wide as the terminal and with its
// emphasis, unless NO_COLOR is set; COLUMNS overrides the width.
func Style(w io.Writer) report.Style {
	st := report.Style{Width: defaultWidth}
	if IsTerminal(w) {
		st.ANSI = os.Getenv("NO_COLOR") == ""
		if n := terminalWidth(w.(*os.File)); n > 0 {
			st.Width = n
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		st.Width = n
	}
	return st
}
