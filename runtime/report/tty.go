package report

import (
	"os"
	"strconv"

	"github.com/mattn/go-isatty"
)

// StyleOf is what a file can show: a terminal its width and escape sequences
// (none under NO_COLOR or TERM=dumb), anything else plain text of any width.
// COLUMNS sets the width where it is a number.
func StyleOf(f *os.File) Style {
	var s Style
	if isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()) {
		s.ANSI = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if s.Width = terminalWidth(f); s.Width <= 0 {
			s.Width = 80
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		s.Width = n
	}
	return s
}
