package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// method is the method of v of that name, bound to v. There are those that read; what would change v
// is forbidden, as in the sandbox.
func method(v any, name string) (function, bool) {
	var run func(a arg) any
	switch x := v.(type) {
	case string:
		run = stringMethods[name].bind(x)
	case *dict:
		run = dictMethod(x, name)
	case *list:
		run = listMethod(x, name)
	}
	if run == nil {
		return nil, false
	}
	return func(ev *evaluator, at int, args []any, named map[string]any) any {
		return run(arg{ev, at, name, args, named})
	}, true
}

// stringMethod is a method of strings; nil is none.
type stringMethod func(s string, a arg) any

func (m stringMethod) bind(s string) func(arg) any {
	if m == nil {
		return nil
	}
	return func(a arg) any { return m(s, a) }
}

var stringMethods = map[string]stringMethod{
	"upper":      func(s string, a arg) any { a.only(); return changeCase("upper", s) },
	"lower":      func(s string, a arg) any { a.only(); return changeCase("lower", s) },
	"capitalize": func(s string, a arg) any { a.only(); return changeCase("capitalize", s) },
	"title":      func(s string, a arg) any { a.only(); return title(s) },
	"strip":      func(s string, a arg) any { return strip(s, a.chars(), true, true) },
	"lstrip":     func(s string, a arg) any { return strip(s, a.chars(), true, false) },
	"rstrip":     func(s string, a arg) any { return strip(s, a.chars(), false, true) },
	"startswith": func(s string, a arg) any { return a.affix(s, strings.HasPrefix) },
	"endswith":   func(s string, a arg) any { return a.affix(s, strings.HasSuffix) },
	"removeprefix": func(s string, a arg) any {
		return strings.TrimPrefix(s, a.str(0, "prefix", ""))
	},
	"removesuffix": func(s string, a arg) any {
		return strings.TrimSuffix(s, a.str(0, "suffix", ""))
	},
	"replace": func(s string, a arg) any {
		a.only("old", "new", "count")
		return strings.Replace(s, a.str(0, "old", ""), a.str(1, "new", ""), int(a.int(2, "count", -1)))
	},
	"split":      func(s string, a arg) any { return split(s, a, false) },
	"rsplit":     func(s string, a arg) any { return split(s, a, true) },
	"splitlines": splitLines,
	"join": func(s string, a arg) any {
		var parts []string
		for _, it := range a.iterate(a.one()) {
			p, ok := it.(string)
			if !ok {
				a.fail("want strings, got %s", a.ev.describe(it))
			}
			parts = append(parts, p)
		}
		return strings.Join(parts, s)
	},
	"find": func(s string, a arg) any {
		a.only("sub")
		i := strings.Index(s, a.str(0, "sub", ""))
		if i < 0 {
			return int64(-1)
		}
		return int64(utf8.RuneCountInString(s[:i]))
	},
	"count": func(s string, a arg) any {
		a.only("sub")
		return int64(strings.Count(s, a.str(0, "sub", "")))
	},
	"isdigit": func(s string, a arg) any { return all(s, unicode.IsDigit) },
	"isalpha": func(s string, a arg) any { return all(s, unicode.IsLetter) },
	"isalnum": func(s string, a arg) any {
		return all(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) })
	},
	"isspace": func(s string, a arg) any { return all(s, unicode.IsSpace) },
	"islower": func(s string, a arg) any { return isCase(s, "lower") },
	"isupper": func(s string, a arg) any { return isCase(s, "upper") },
}

func all(s string, is func(rune) bool) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !is(r) }) < 0
}

// title is Python's str.title: a capital wherever letters begin.
func title(s string) string {
	var out strings.Builder
	inWord := false
	for _, r := range s {
		switch {
		case !unicode.IsLetter(r):
			out.WriteRune(r)
		case inWord:
			out.WriteString(changeCase("lower", string(r)))
		default:
			out.WriteString(changeCase("capitalize", string(r)))
		}
		inWord = unicode.IsLetter(r)
	}
	return out.String()
}

// chars is the argument of strip, nil for none.
func (a arg) chars() any {
	a.only("chars")
	v := a.get(0, "chars", nil)
	if _, ok := v.(string); !ok && v != nil {
		a.fail("want a string, got %s", a.ev.describe(v))
	}
	return v
}

// affix tests one string or each of a tuple.
func (a arg) affix(s string, has func(s, affix string) bool) any {
	of := []any{a.one()}
	if l, ok := of[0].(*list); ok && l.tuple {
		of = l.items
	}
	for _, v := range of {
		p, ok := v.(string)
		if !ok {
			a.fail("want a string or a tuple of strings, got %s", a.ev.describe(v))
		}
		if has(s, p) {
			return true
		}
	}
	return false
}

// split is Python's: at white space without a separator, at most maxsplit times, from the right if asked.
func split(s string, a arg, right bool) any {
	a.only("sep", "maxsplit")
	most := int(a.int(1, "maxsplit", -1))
	var parts []string
	if a.get(0, "sep", nil) == nil {
		parts = fields(s, most, right)
	} else {
		sep := a.str(0, "sep", "")
		if sep == "" {
			a.fail("empty separator")
		}
		parts = strings.Split(s, sep)
		if n := len(parts); most >= 0 && n > most+1 {
			if right {
				k := n - most
				parts = append([]string{strings.Join(parts[:k], sep)}, parts[k:]...)
			} else {
				parts = append(parts[:most:most], strings.Join(parts[most:], sep))
			}
		}
	}
	return listOf(parts)
}

// fields splits at white space, at most most times (below 0: no limit).
func fields(s string, most int, right bool) []string {
	if most < 0 {
		return strings.Fields(s)
	}
	var out []string
	if right {
		for s = strings.TrimRightFunc(s, unicode.IsSpace); s != "" && len(out) < most; s = strings.TrimRightFunc(s, unicode.IsSpace) {
			i := strings.LastIndexFunc(s, unicode.IsSpace)
			_, n := utf8.DecodeRuneInString(s[max(i, 0):])
			if i < 0 {
				i, n = 0, 0
			}
			out = append([]string{s[i+n:]}, out...)
			s = s[:i]
		}
		if s != "" {
			out = append([]string{s}, out...)
		}
		return out
	}
	for s = strings.TrimLeftFunc(s, unicode.IsSpace); s != "" && len(out) < most; s = strings.TrimLeftFunc(s, unicode.IsSpace) {
		i := strings.IndexFunc(s, unicode.IsSpace)
		if i < 0 {
			i = len(s)
		}
		out = append(out, s[:i])
		s = s[i:]
	}
	if s != "" {
		out = append(out, s)
	}
	return out
}

func splitLines(s string, a arg) any {
	a.only("keepends")
	keep := truth(a.get(0, "keepends", false))
	var parts []string
	for s != "" {
		i := strings.IndexAny(s, "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029")
		if i < 0 {
			parts = append(parts, s)
			break
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		if strings.HasPrefix(s[i:], "\r\n") {
			n = 2
		}
		line := s[:i]
		if keep {
			line = s[:i+n]
		}
		parts = append(parts, line)
		s = s[i+n:]
	}
	return listOf(parts)
}

func listOf(parts []string) *list {
	out := &list{}
	for _, p := range parts {
		out.items = append(out.items, p)
	}
	return out
}

func dictMethod(d *dict, name string) func(arg) any {
	switch name {
	case "items":
		return func(a arg) any { a.only(); return &list{items: pairs(a, d)} }
	case "keys":
		return func(a arg) any { a.only(); return &list{items: d.keys} }
	case "values":
		return func(a arg) any {
			a.only()
			out := &list{}
			for _, k := range d.keys {
				out.items = append(out.items, d.values[k])
			}
			return out
		}
	case "get":
		return func(a arg) any {
			a.only("key", "default")
			if v, ok := d.get(a.get(0, "key", nil)); ok {
				return v
			}
			return a.get(1, "default", nil)
		}
	case "update", "pop", "popitem", "clear", "setdefault":
		return forbidden
	}
	return nil
}

func listMethod(l *list, name string) func(arg) any {
	switch name {
	case "index", "count":
		return func(a arg) any {
			want, n := a.one(), int64(0)
			for i, it := range l.items {
				if equal(it, want) {
					if name == "index" {
						return int64(i)
					}
					n++
				}
			}
			if name == "index" {
				a.fail("%s is not in the list", repr(want))
			}
			return n
		}
	case "append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse":
		if l.tuple {
			return nil
		}
		return forbidden
	}
	return nil
}

func forbidden(a arg) any {
	a.fail("templates may not change values")
	return nil
}
