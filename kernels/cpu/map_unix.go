//go:build linux || darwin || freebsd

package cpu

import (
	"fmt"
	"syscall"
)

// mapMemory takes pages of the system, zeroed.
func mapMemory(bytes int) []byte {
	b, err := syscall.Mmap(-1, 0, bytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(fmt.Errorf("cpu: no memory for %d bytes: %w", bytes, err))
	}
	return b
}

// unmapMemory gives pages back.
func unmapMemory(b []byte) {
	if err := syscall.Munmap(b); err != nil {
		panic(fmt.Errorf("cpu: give back %d bytes: %w", len(b), err))
	}
}
