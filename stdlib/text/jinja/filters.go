package jinja

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// arg is what a filter, test, method or global was called with.
type arg struct {
	ev    *evaluator
	at    int
	name  string
	args  []any
	named map[string]any
}

// get is the i-th argument or the named one, or def.
func (a arg) get(i int, name string, def any) any {
	if i < len(a.args) {
		return a.args[i]
	}
	if v, ok := a.named[name]; ok {
		return v
	}
	return def
}

func (a arg) fail(format string, args ...any) { a.ev.fail(a.at, a.name+": "+format, args...) }

// only fails if there are more arguments than the names say, or others.
func (a arg) only(names ...string) {
	if len(a.args) > len(names) {
		a.fail("takes at most %d arguments, got %d", len(names), len(a.args))
	}
	for _, k := range sortedKeys(a.named) {
		if !slices.Contains(names, k) {
			a.fail("no argument %q%s", k, hint(k, names))
		}
	}
}

func (a arg) int(i int, name string, def int64) int64 {
	v := a.get(i, name, def)
	n, _, isFloat, ok := number(v)
	if !ok || isFloat {
		a.fail("%s: want an integer, got %s", name, a.ev.describe(v))
	}
	return n
}

func (a arg) str(i int, name, def string) string {
	v := a.get(i, name, def)
	s, ok := v.(string)
	if !ok {
		a.fail("%s: want a string, got %s", name, a.ev.describe(v))
	}
	return s
}

func (a arg) iterate(v any) []any {
	items, ok := iterate(v)
	if !ok {
		a.fail("%s is not iterable", a.ev.describe(v))
	}
	return items
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

func (ev *evaluator) filter(f filter, v any) any {
	ev.step(f.at())
	a := arg{ev, f.at(), f.name, ev.evalAll(f.args), ev.keywords(f.arguments)}
	return applyFilter(a, v)
}

// applyFilter runs the filter that a names. Text filters come first, then those on numbers and lists.
func applyFilter(a arg, v any) any {
	if out, ok := textFilter(a, v); ok {
		return out
	}
	if out, ok := listFilter(a, v); ok {
		return out
	}
	switch a.name {
	case "default", "d":
		a.only("default_value", "boolean")
		if _, undef := v.(undefined); undef || truth(a.get(1, "boolean", false)) && !truth(v) {
			return a.get(0, "default_value", "")
		}
		return v
	case "abs":
		i, f, isFloat, ok := number(v)
		if !ok {
			a.fail("want a number, got %s", a.ev.describe(v))
		}
		if isFloat {
			return math.Abs(f)
		}
		return max(i, -i)
	case "int":
		a.only("default", "base")
		return toInt(v, a.get(0, "default", int64(0)), int(a.int(1, "base", 10)))
	case "float":
		a.only("default")
		return toFloat(v, a.get(0, "default", 0.0))
	case "round":
		return round(a, v)
	case "tojson":
		return toJSON(a, v)
	case "attr":
		return a.ev.attribute(a.at, v, a.str(0, "name", ""))
	}
	a.fail("unknown filter")
	return nil
}

var filters = []string{"abs", "attr", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "format", "indent", "int",
	"items", "join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round",
	"safe", "select", "selectattr", "sort", "string", "sum", "title", "tojson", "trim", "unique", "upper", "wordcount"}

func knownFilter(name string) bool { return slices.Contains(filters, name) }
func filterNames() []string        { return filters }

// textFilter is the filters that take anything as text.
func textFilter(a arg, v any) (any, bool) {
	s := show(v)
	switch a.name {
	case "upper", "lower", "title", "capitalize":
		a.only()
		if a.name == "title" {
			return titleFilter(s), true
		}
		return changeCase(a.name, s), true
	case "trim":
		a.only("chars")
		return strip(s, a.get(0, "chars", nil), true, true), true
	case "string", "safe":
		a.only()
		return s, true
	case "e", "escape":
		a.only()
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;").Replace(s), true
	case "replace":
		a.only("old", "new", "count")
		n := -1
		if c := a.get(2, "count", nil); c != nil {
			n = int(a.int(2, "count", 0))
		}
		return strings.Replace(s, show(a.get(0, "old", "")), show(a.get(1, "new", "")), n), true
	case "format":
		return a.ev.format(a.at, s, a.args), true
	case "wordcount":
		n := len(strings.FieldsFunc(s, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }))
		return int64(n), true
	case "indent":
		return indent(a, s), true
	}
	return nil, false
}

func changeCase(how, s string) string {
	switch how {
	case "upper":
		return cases.Upper(language.Und).String(s)
	case "lower":
		return cases.Lower(language.Und).String(s)
	}
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return cases.Title(language.Und, cases.NoLower).String(string(r)) + cases.Lower(language.Und).String(s[n:])
}

// titleFilter capitalises what follows white space, a hyphen or an opening bracket.
func titleFilter(s string) string {
	var out strings.Builder
	cut := func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("-({[<", r) }
	for len(s) > 0 {
		n := strings.IndexFunc(s, cut)
		if n < 0 {
			n = len(s)
		}
		out.WriteString(changeCase("capitalize", s[:n]))
		s = s[n:]
		n = len(s) - len(strings.TrimLeftFunc(s, cut))
		out.WriteString(s[:n])
		s = s[n:]
	}
	return out.String()
}

// strip takes chars, or white space if that is nil, off the ends.
func strip(s string, chars any, left, right bool) string {
	in := unicode.IsSpace
	if c, ok := chars.(string); ok {
		in = func(r rune) bool { return strings.ContainsRune(c, r) }
	}
	if left {
		s = strings.TrimLeftFunc(s, in)
	}
	if right {
		s = strings.TrimRightFunc(s, in)
	}
	return s
}

func indent(a arg, s string) string {
	a.only("width", "first", "blank")
	by := ""
	if w, ok := a.get(0, "width", int64(4)).(string); ok {
		by = w
	} else {
		n := a.int(0, "width", 4)
		if n > 10000 {
			a.fail("width %d is too large", n)
		}
		by = strings.Repeat(" ", int(max(n, 0)))
	}
	blank := truth(a.get(2, "blank", false))
	lines := strings.Split(s, "\n")
	for i := range lines {
		if i > 0 && (blank || lines[i] != "") {
			lines[i] = by + lines[i]
		}
	}
	out := strings.Join(lines, "\n")
	if truth(a.get(1, "first", false)) {
		out = by + out
	}
	return out
}

func toInt(v, def any, base int) any {
	switch x := v.(type) {
	case string:
		s := strings.ReplaceAll(strings.TrimSpace(x), "_", "")
		if n, err := strconv.ParseInt(s, base, 64); err == nil {
			return n
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<62 {
			return int64(f)
		}
		return def
	}
	i, f, isFloat, ok := number(v)
	switch {
	case !ok:
		return def
	case !isFloat:
		return i
	case math.Abs(f) < 1<<62:
		return int64(f)
	}
	return def
}

func toFloat(v, def any) any {
	if s, ok := v.(string); ok {
		if f, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil {
			return f
		}
		return def
	}
	if _, f, _, ok := number(v); ok {
		return f
	}
	return def
}

// round is Python's: half to even on the exact binary value.
func round(a arg, v any) any {
	a.only("precision", "method")
	_, f, isFloat, ok := number(v)
	if !ok {
		a.fail("want a number, got %s", a.ev.describe(v))
	}
	digits := a.int(0, "precision", 0)
	switch m := a.str(1, "method", "common"); m {
	case "common":
		if !isFloat {
			return v
		}
		if digits < 0 {
			p := math.Pow(10, float64(-digits))
			return math.RoundToEven(f/p) * p
		}
		f, _ = strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(min(digits, 300)), 64), 64)
		return f
	case "ceil", "floor":
		p := math.Pow(10, float64(digits))
		if m == "ceil" {
			return math.Ceil(f*p) / p
		}
		return math.Floor(f*p) / p
	default:
		a.fail("method %q is not common, ceil or floor", m)
	}
	return nil
}
