// Command gen writes runtime/symbols' generated files: `go generate ./runtime/symbols`.
package main

import (
	"fmt"
	"os"

	"lightbox/runtime/symbols/internal/generate"
)

func main() {
	files, err := generate.Files()
	if err == nil {
		var dir string
		if dir, err = generate.Dir(); err == nil {
			err = generate.Write(dir, files)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}
