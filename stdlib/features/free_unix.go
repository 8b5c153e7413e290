//go:build linux || darwin

package features

import "syscall"

// freeOn is the space that is left on the disk of dir.
func freeOn(dir string) (bytes int64, ok bool) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}
