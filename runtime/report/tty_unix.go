//go:build unix

package report

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminalWidth is the terminal's number of columns, 0 when it does not say.
func terminalWidth(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}
