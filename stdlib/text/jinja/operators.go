package jinja

import (
	"math"
	"slices"
	"strings"
)

func (ev *evaluator) unary(x unary) any {
	v := ev.eval(x.x)
	if x.op == "not" {
		return !truth(v)
	}
	i, f, isFloat, ok := number(v)
	if !ok {
		ev.fail(x.at(), "bad operand for unary %s: %s", x.op, ev.describe(v))
	}
	switch {
	case isFloat && x.op == "-":
		return -f
	case isFloat:
		return f
	case x.op == "-":
		return -i
	}
	return i
}

// describe names a value in an error: its type or why it is undefined.
func (ev *evaluator) describe(v any) string {
	if u, ok := v.(undefined); ok {
		return u.why
	}
	return typeName(v)
}

func (ev *evaluator) binary(x binary) any {
	a := ev.eval(x.x)
	switch x.op {
	case "and":
		if !truth(a) {
			return a
		}
		return ev.eval(x.y)
	case "or":
		if truth(a) {
			return a
		}
		return ev.eval(x.y)
	}
	b := ev.eval(x.y)
	if x.op == "~" {
		return ev.bounded(x.at(), show(a)+show(b))
	}
	if v, ok := ev.sequences(x, a, b); ok {
		return v
	}
	i, f, aFloat, ok1 := number(a)
	j, g, bFloat, ok2 := number(b)
	if !ok1 || !ok2 {
		ev.fail(x.at(), "operator %s does not take %s and %s", x.op, ev.describe(a), ev.describe(b))
	}
	if aFloat || bFloat {
		return ev.floats(x, f, g)
	}
	return ev.ints(x, i, j)
}

// sequences is + and * on strings and lists, and % on strings.
func (ev *evaluator) sequences(x binary, a, b any) (any, bool) {
	switch x.op {
	case "+":
		if s, ok := a.(string); ok {
			if t, ok := b.(string); ok {
				return ev.bounded(x.at(), s+t), true
			}
		}
		l, ok1 := a.(*list)
		m, ok2 := b.(*list)
		if ok1 && ok2 && l.tuple == m.tuple {
			return &list{slices.Concat(l.items, m.items), l.tuple}, true
		}
	case "*":
		if _, ok := a.(int64); ok {
			a, b = b, a
		}
		n, ok := b.(int64)
		size, seq := length(a)
		if _, undef := a.(undefined); !ok || !seq || undef {
			return nil, false
		}
		n = max(n, 0)
		if size > 0 && n > int64(maxString/size) {
			ev.fail(x.at(), "%d times a %s of %d is too long", n, typeName(a), size)
		}
		switch v := a.(type) {
		case string:
			return strings.Repeat(v, int(n)), true
		case *list:
			return &list{slices.Repeat(v.items, int(n)), v.tuple}, true
		}
	case "%":
		if s, ok := a.(string); ok {
			args := []any{b}
			if l, ok := b.(*list); ok && l.tuple {
				args = l.items
			}
			return ev.format(x.at(), s, args), true
		}
	}
	return nil, false
}

func (ev *evaluator) bounded(at int, s string) string {
	if len(s) > maxString {
		ev.fail(at, "a string of %d bytes is too long", len(s))
	}
	return s
}

func (ev *evaluator) floats(x binary, f, g float64) any {
	switch x.op {
	case "+":
		return f + g
	case "-":
		return f - g
	case "*":
		return f * g
	case "**":
		return math.Pow(f, g)
	}
	if g == 0 {
		ev.fail(x.at(), "division by zero")
	}
	switch x.op {
	case "/":
		return f / g
	case "//":
		return math.Floor(f / g)
	}
	m := math.Mod(f, g)
	if m != 0 && (m < 0) != (g < 0) {
		m += g
	}
	return m
}

func (ev *evaluator) ints(x binary, i, j int64) any {
	overflow := func(exact bool, v int64) any {
		if !exact {
			ev.fail(x.at(), "the result of %d %s %d is out of range", i, x.op, j)
		}
		return v
	}
	switch x.op {
	case "+":
		s := i + j
		return overflow((s > i) == (j > 0), s)
	case "-":
		s := i - j
		return overflow((s < i) == (j > 0), s)
	case "*":
		p := i * j
		return overflow(i == 0 || p/i == j && !(i == -1 && j == math.MinInt64), p)
	case "**":
		if j < 0 {
			if i == 0 {
				ev.fail(x.at(), "division by zero")
			}
			return math.Pow(float64(i), float64(j))
		}
		if math.Abs(math.Pow(float64(i), float64(j))) >= 1<<62 {
			return overflow(false, 0)
		}
		return power(i, j)
	}
	if j == 0 {
		ev.fail(x.at(), "division by zero")
	}
	switch x.op {
	case "/":
		return float64(i) / float64(j)
	case "//":
		q := i / j
		if i%j != 0 && (i < 0) != (j < 0) {
			q--
		}
		return q
	}
	m := i % j
	if m != 0 && (m < 0) != (j < 0) {
		m += j
	}
	return m
}

// power is i to the j, which fits.
func power(i, j int64) int64 {
	if i >= -1 && i <= 1 && j > 2 {
		j = 2 - j%2 // only whether it is odd matters
	}
	p := int64(1)
	for ; j > 0; j-- {
		p *= i
	}
	return p
}

func (ev *evaluator) compare(x compare) any {
	a := ev.eval(x.x)
	for i, op := range x.ops {
		b := ev.eval(x.ys[i])
		if !ev.compareTwo(x.ys[i].at(), op, a, b) {
			return false
		}
		a = b
	}
	return true
}

func (ev *evaluator) compareTwo(at int, op string, a, b any) bool {
	switch op {
	case "==":
		return equal(a, b)
	case "!=":
		return !equal(a, b)
	case "in":
		return ev.contains(at, b, a)
	case "not in":
		return !ev.contains(at, b, a)
	}
	c, ok := order(a, b)
	if !ok {
		ev.fail(at, "operator %s does not take %s and %s", op, ev.describe(a), ev.describe(b))
	}
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

func (ev *evaluator) contains(at int, in, v any) bool {
	switch x := in.(type) {
	case string:
		s, ok := v.(string)
		if !ok {
			ev.fail(at, "in a string only a string can be, not %s", ev.describe(v))
		}
		return strings.Contains(x, s)
	case *list:
		return slices.ContainsFunc(x.items, func(it any) bool { return equal(it, v) })
	case *dict:
		_, ok := x.get(v)
		return ok
	case undefined:
		return false
	}
	ev.fail(at, "%s is not iterable", typeName(in))
	return false
}
