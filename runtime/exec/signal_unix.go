//go:build unix

package exec

import (
	"os/signal"
	"syscall"
)

// ignoreFileSizeSignal makes a write past RLIMIT_FSIZE an error, EFBIG,
// instead of the end of the process.
func ignoreFileSizeSignal() { signal.Ignore(syscall.SIGXFSZ) }
