//go:build !(linux || darwin || freebsd)

package ops

import (
	"errors"
	"runtime"
)

// Guarded needs mmap and mprotect.
func Guarded(int) (*Device, error) {
	return nil, errors.New("a guarded device needs mprotect, which " + runtime.GOOS + " lacks here")
}
