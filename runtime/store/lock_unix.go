//go:build unix

package store

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes an flock on a file, creating it. ErrBusy if another holds it.
func tryLock(name string, exclusive bool) (*Lock, error) {
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	for {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
			_ = f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, ErrBusy
			}
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			return nil, err
		}
		// gc may have removed the file between open and lock.
		here, err1 := f.Stat()
		there, err2 := os.Stat(name)
		if err1 == nil && err2 == nil && os.SameFile(here, there) {
			return &Lock{f}, nil
		}
		_ = f.Close()
	}
}
