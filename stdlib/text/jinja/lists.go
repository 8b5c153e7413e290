package jinja

import (
	"slices"
	"strconv"
	"strings"
)

// listFilter is the filters that work on the items of a value.
func listFilter(a arg, v any) (any, bool) {
	switch a.name {
	case "length", "count":
		a.only()
		n, ok := length(v)
		if !ok {
			a.fail("%s has no length", a.ev.describe(v))
		}
		return int64(n), true
	case "first", "last":
		return end(a, v), true
	case "list":
		return &list{items: slices.Clone(a.iterate(v))}, true
	case "join":
		return join(a, v), true
	case "reverse":
		return reversed(a, v), true
	case "sort":
		return sorted(a, v), true
	case "unique":
		return unique(a, v), true
	case "min", "max":
		return extreme(a, v), true
	case "sum":
		return sum(a, v), true
	case "items":
		return &list{items: pairs(a, v)}, true
	case "dictsort":
		return dictSort(a, v), true
	case "map":
		return mapped(a, v), true
	case "select", "reject", "selectattr", "rejectattr":
		return selected(a, v), true
	}
	return nil, false
}

func end(a arg, v any) any {
	a.only()
	items := a.iterate(v)
	switch {
	case len(items) == 0:
		return undefined{"there is no " + a.name + " item, the sequence was empty"}
	case a.name == "first":
		return items[0]
	}
	return items[len(items)-1]
}

func join(a arg, v any) any {
	a.only("d", "attribute")
	path := a.get(1, "attribute", nil)
	var parts []string
	for _, it := range a.iterate(v) {
		if path != nil {
			it = dotted(a, it, path)
		}
		parts = append(parts, show(it))
	}
	return strings.Join(parts, show(a.get(0, "d", "")))
}

func reversed(a arg, v any) any {
	a.only()
	items := slices.Clone(a.iterate(v))
	slices.Reverse(items)
	if _, ok := v.(string); ok {
		return joined(items)
	}
	return &list{items: items}
}

// dotted is the attribute "a.b.0" of v.
func dotted(a arg, v, path any) any {
	if i, ok := path.(int64); ok {
		return a.ev.index(index{pos(a.at), literal{pos(a.at), v}, literal{pos(a.at), i}})
	}
	s, ok := path.(string)
	if !ok {
		a.fail("attribute: want a string, got %s", a.ev.describe(path))
	}
	for _, part := range strings.Split(s, ".") {
		var k any = part
		if n, err := strconv.ParseInt(part, 10, 64); err == nil {
			k = n
		}
		v = a.ev.index(index{pos(a.at), literal{pos(a.at), v}, literal{pos(a.at), k}})
	}
	return v
}

// sortKey is what sort, unique, min and max compare: letters without case unless asked.
func sortKey(a arg, v any, attr any, caseSensitive bool) any {
	if attr != nil {
		v = dotted(a, v, attr)
	}
	if s, ok := v.(string); ok && !caseSensitive {
		return changeCase("lower", s)
	}
	return v
}

func (a arg) order(x, y any) int {
	c, ok := order(x, y)
	if !ok {
		a.fail("%s and %s have no order", a.ev.describe(x), a.ev.describe(y))
	}
	return c
}

func sorted(a arg, v any) any {
	a.only("reverse", "case_sensitive", "attribute")
	attr, sensitive := a.get(2, "attribute", nil), truth(a.get(1, "case_sensitive", false))
	items := slices.Clone(a.iterate(v))
	sign := 1
	if truth(a.get(0, "reverse", false)) {
		sign = -1
	}
	slices.SortStableFunc(items, func(x, y any) int {
		return sign * a.order(sortKey(a, x, attr, sensitive), sortKey(a, y, attr, sensitive))
	})
	return &list{items: items}
}

func unique(a arg, v any) any {
	a.only("case_sensitive", "attribute")
	attr, sensitive := a.get(1, "attribute", nil), truth(a.get(0, "case_sensitive", false))
	var seen []any
	out := &list{}
	for _, it := range a.iterate(v) {
		a.ev.step(a.at)
		k := sortKey(a, it, attr, sensitive)
		if !slices.ContainsFunc(seen, func(s any) bool { return equal(s, k) }) {
			seen = append(seen, k)
			out.items = append(out.items, it)
		}
	}
	return out
}

func extreme(a arg, v any) any {
	a.only("case_sensitive", "attribute")
	attr, sensitive := a.get(1, "attribute", nil), truth(a.get(0, "case_sensitive", false))
	sign := 1
	if a.name == "max" {
		sign = -1
	}
	items := a.iterate(v)
	if len(items) == 0 {
		return undefined{"no aggregated item, the sequence was empty"}
	}
	best := items[0]
	for _, it := range items[1:] {
		if sign*a.order(sortKey(a, it, attr, sensitive), sortKey(a, best, attr, sensitive)) < 0 {
			best = it
		}
	}
	return best
}

func sum(a arg, v any) any {
	a.only("attribute", "start")
	attr := a.get(0, "attribute", nil)
	total := a.get(1, "start", int64(0))
	for _, it := range a.iterate(v) {
		if attr != nil {
			it = dotted(a, it, attr)
		}
		total = a.ev.binary(binary{pos(a.at), "+", literal{pos(a.at), total}, literal{pos(a.at), it}})
	}
	return total
}

// pairs is the entries of a dict as (key, value).
func pairs(a arg, v any) []any {
	if _, ok := v.(undefined); ok {
		return nil
	}
	d, ok := v.(*dict)
	if !ok {
		a.fail("want a dict, got %s", a.ev.describe(v))
	}
	out := make([]any, len(d.keys))
	for i, k := range d.keys {
		out[i] = &list{[]any{k, d.values[k]}, true}
	}
	return out
}

func dictSort(a arg, v any) any {
	a.only("case_sensitive", "by", "reverse")
	by := a.str(1, "by", "key")
	if by != "key" && by != "value" {
		a.fail("by: want \"key\" or \"value\", got %q", by)
	}
	at := int64(0)
	if by == "value" {
		at = 1
	}
	s := a
	s.args = []any{a.get(2, "reverse", false), a.get(0, "case_sensitive", false), at}
	s.named = nil
	return sorted(s, &list{items: pairs(a, v)})
}

func mapped(a arg, v any) any {
	out := &list{}
	attr, byAttr := a.named["attribute"]
	for _, it := range a.iterate(v) {
		a.ev.step(a.at)
		if byAttr {
			got := dotted(a, it, attr)
			if _, undef := got.(undefined); undef {
				if def, ok := a.named["default"]; ok {
					got = def
				}
			}
			out.items = append(out.items, got)
			continue
		}
		f := a
		f.name = a.str(0, "filter", "")
		if !knownFilter(f.name) {
			a.fail("filter %q is not supported%s", f.name, hint(f.name, filters))
		}
		f.args = a.args[1:]
		out.items = append(out.items, applyFilter(f, it))
	}
	return out
}

// selected keeps the items for which a test holds, on themselves or on an attribute.
func selected(a arg, v any) any {
	args := a.args
	var attr any
	if strings.HasSuffix(a.name, "attr") {
		if len(args) == 0 {
			a.fail("missing the attribute's name")
		}
		attr, args = args[0], args[1:]
	}
	t := a
	if len(args) > 0 {
		t.name, _ = args[0].(string)
		t.args = args[1:]
		if !knownTest(t.name) {
			a.fail("test %q is not supported%s", show(args[0]), hint(t.name, tests))
		}
	}
	out := &list{}
	for _, it := range a.iterate(v) {
		a.ev.step(a.at)
		x := it
		if attr != nil {
			x = dotted(a, it, attr)
		}
		holds := truth(x)
		if len(args) > 0 {
			holds = applyTest(t, x)
		}
		if holds == strings.HasPrefix(a.name, "select") {
			out.items = append(out.items, it)
		}
	}
	return out
}
