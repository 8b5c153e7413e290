package session

import (
	"io/fs"

	"lightbox/recipes"
)

// builtin is the file system of the recipes that the binary carries.
func builtin() fs.FS { return recipes.Files }
