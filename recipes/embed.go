// Package recipes holds the recipes of this repository, so that an installed binary can run them by name.
//
// Each folder is a recipe: a Go file that runtime/recipe reads, and a README that says what it asks and what it needs.
package recipes

import "embed"

// Files are the recipes, by folder.
//
//go:embed */*.go */README.md */*.lock.yaml
var Files embed.FS
