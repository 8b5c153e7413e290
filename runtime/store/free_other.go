//go:build !linux

package store

// Free is unknown on this system.
func (s *Store) Free() (bytes int64, ok bool) { return 0, false }
