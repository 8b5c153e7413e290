package store

import (
	"path/filepath"
	"syscall"
)

// Free is the space that is left for the store on its disk.
func (s *Store) Free() (bytes int64, ok bool) {
	for dir := s.root; ; dir = filepath.Dir(dir) {
		var st syscall.Statfs_t
		if err := syscall.Statfs(dir, &st); err == nil {
			return int64(st.Bavail) * int64(st.Bsize), true
		}
		if dir == filepath.Dir(dir) {
			return 0, false
		}
	}
}
