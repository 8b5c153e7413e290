// Package recipe reads a recipe: a valid Go file of imports and top-level vars
// grouped in cells.
//
// The way of a file through the package is
//
//	Load → parse → front matter, cells, parameters → type-check → lint → order → Lower
//
// and every stage adds to one list of errors, so that a user sees all of them
// together, each with file:line:col, the var, a caret and the near name.
//
// The package knows the language: what a recipe may say, in which order its
// vars are evaluated, what they depend on, and how to spell them for the
// interpreter. It does not know what can be imported (the caller passes a
// Universe), never evaluates anything, and needs no Go toolchain.
//
// # The language
//
// A recipe is Go, restricted where the interpreter that evaluates it would
// give another answer than the compiler: see lint.go for the list. Order comes
// from references, every var is bound once, nothing is mutated. Exported vars
// are displayed; a comment that begins with %% opens a cell, its text is
// Markdown:
//
//	// %% Table 4
//
//	var captions = generate.Captions(tuned, test, generate.Greedy(64))
//	var Table4   = table.New(score.Captions(captions, score.ImageCLEF()))
package recipe
