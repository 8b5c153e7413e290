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
		err = generate.Write(".", files)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}
