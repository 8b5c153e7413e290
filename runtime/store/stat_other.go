//go:build !linux

package store

import "io/fs"

func stampOf(st fs.FileInfo) stamp {
	return stamp{Size: st.Size(), MTime: st.ModTime().UnixNano()}
}
