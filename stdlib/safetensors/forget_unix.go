//go:build linux || darwin || freebsd

package safetensors

import (
	"os"

	"golang.org/x/sys/unix"
)

// forget drops the whole pages of bytes [from, to) of a mapped file. It only saves memory, so an error is no error.
func forget(mapped []byte, from, to int) {
	page := os.Getpagesize()
	from, to = (from+page-1)/page*page, to/page*page
	if from < to {
		_ = unix.Madvise(mapped[from:to], unix.MADV_DONTNEED)
	}
}
