package step

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// Unfinished begins the names of files that WriteShared has not finished.
const Unfinished = "part-"

// WriteShared makes a file of a shared directory (Context.Cache) as its contract
// asks: it appears whole under path, or not at all. It is written in dir, which
// lies on the same disk and exists. The disk is not waited for.
func WriteShared(dir, path string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, Unfinished)
	if err != nil {
		return err
	}
	if err = errors.Join(write(f), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
