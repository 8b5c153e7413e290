package recipe

import "go/types"

// Universe is what recipes may import. runtime/symbols fills it from embedded
// export data; a test may build a small one from source.
type Universe interface {
	// Paths are the importable packages, sorted.
	Paths() []string
	// Import returns one of them, complete. Packages imported through one
	// Universe share their types. It is called by one goroutine at a time.
	Import(path string) (*types.Package, error)
	// Withheld says why an exported name of an importable package is kept
	// from recipes, "" when it is not.
	Withheld(path, name string) string
	// Doc is the doc comment of a package (name ""), of a member, or of a
	// method or field ("Type.Method"); "" when there is none.
	Doc(path, name string) string
}
