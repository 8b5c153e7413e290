// Package param declares the parameters of a recipe: the few values that
// another user or another machine changes without editing the file.
//
//	var root = param.Dir("rocov2", "data/rocov2", "root of the ROCOv2 download")
//
// `lightbox run -h RECIPE` lists them and `--set rocov2=/data/roco` sets them.
// All three arguments are literals, because the list is read from the recipe's
// text without evaluating it (runtime/recipe enforces that, and checks the
// values given on the command line before anything is evaluated).
//
// The package knows the scope that is being evaluated. It does not know the
// command line, nor whether a directory exists: the verb that reads it says so.
package param

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"lightbox/runtime/step"
)

// String is the text given for name, or value.
func String(name, value, doc string) string {
	if s, ok := given(name); ok {
		return s
	}
	return value
}

// Int is the whole number given for name, or value.
func Int(name string, value int, doc string) int {
	return parsed(name, value, strconv.Atoi)
}

// Float is the number given for name, or value.
func Float(name string, value float64, doc string) float64 {
	return parsed(name, value, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
}

// Bool is the truth given for name ("true" or "false"), or value.
func Bool(name string, value bool, doc string) bool {
	return parsed(name, value, strconv.ParseBool)
}

// Dir is the directory given for name, or value. A relative one is relative to
// the directory that lightbox runs in, not to the recipe's; a leading ~/ is
// the home directory. An empty default means that there is none.
func Dir(name, value, doc string) string { return path(String(name, value, doc)) }

// Path is the file given for name, or value; see Dir for relative paths.
func Path(name, value, doc string) string { return path(String(name, value, doc)) }

func given(name string) (string, bool) {
	s, ok := step.Current().Params[name]
	return s, ok
}

// parsed panics on a value that does not parse: recipe.Check has refused such
// a value long before, with the name of the parameter and its position.
func parsed[T any](name string, value T, parse func(string) (T, error)) T {
	s, ok := given(name)
	if !ok {
		return value
	}
	v, err := parse(s)
	if err != nil {
		panic(fmt.Sprintf("parameter %s: %q is not a %T", name, s, value))
	}
	return v
}

func path(p string) string {
	if rest, ok := strings.CutPrefix(p, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if p == "" {
		return ""
	}
	return filepath.Clean(p)
}
