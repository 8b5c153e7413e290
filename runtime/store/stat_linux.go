package store

import (
	"io/fs"
	"syscall"
)

// stampOf takes the change time too, which no program can set back.
func stampOf(st fs.FileInfo) stamp {
	out := stamp{Size: st.Size(), MTime: st.ModTime().UnixNano()}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		out.Inode = sys.Ino
		out.CTime = sys.Ctim.Nano()
	}
	return out
}
