//go:build !unix

package store

import "os"

// tryLock cannot exclude other processes on this system; run one at a time.
func tryLock(name string, exclusive bool) (*Lock, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	return &Lock{f}, nil
}
