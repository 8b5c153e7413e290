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
			switch {
			case errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.EOPNOTSUPP):
				return &Lock{f}, nil // some cluster file systems have no locks: one run at a time is then the user's care
			case errors.Is(err, syscall.EINTR):
				_ = f.Close()
				continue
			case errors.Is(err, syscall.EWOULDBLOCK):
				err = ErrBusy
			}
			_ = f.Close()
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
