package jinja

import (
	"slices"
	"strings"
	"unicode"
)

var tests = []string{"!=", "<", "<=", "==", ">", ">=", "boolean", "callable", "defined", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "greaterthan",
	"gt", "in", "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne", "none", "number", "odd", "sameas", "sequence", "string", "true", "undefined", "upper"}

func knownTest(name string) bool { return slices.Contains(tests, name) }
func testNames() []string        { return tests }

func (ev *evaluator) runTest(t test) any {
	ev.step(t.at())
	a := arg{ev, t.at(), t.name, nil, ev.keywords(t.arguments)}
	v := ev.eval(t.x)
	a.args = ev.evalAll(t.args)
	return applyTest(a, v) != t.not
}

var comparisons = map[string]string{"eq": "==", "equalto": "==", "ne": "!=", "lt": "<", "lessthan": "<", "le": "<=", "gt": ">", "greaterthan": ">", "ge": ">=",
	"==": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">=", "in": "in"}

// applyTest runs the test that a names on v.
func applyTest(a arg, v any) bool {
	if op, ok := comparisons[a.name]; ok {
		return a.ev.compareTwo(a.at, op, v, a.one())
	}
	switch a.name {
	case "divisibleby":
		return equal(a.ev.binary(binary{pos(a.at), "%", literal{pos(a.at), v}, literal{pos(a.at), a.one()}}), int64(0))
	case "sameas":
		w := a.one()
		return typeName(v) == typeName(w) && equal(v, w)
	}
	a.only()
	switch a.name {
	case "defined", "undefined":
		_, undef := v.(undefined)
		return undef == (a.name == "undefined")
	case "odd", "even":
		i, _, isFloat, ok := number(v)
		if !ok || isFloat {
			a.fail("want an integer, got %s", a.ev.describe(v))
		}
		return (i%2 == 0) == (a.name == "even")
	case "lower", "upper":
		return isCase(show(v), a.name)
	case "iterable":
		_, ok := iterate(v)
		return ok
	}
	return isType(a.name, v)
}

// one is the single argument of a test.
func (a arg) one() any {
	if len(a.args) != 1 {
		a.fail("takes one argument, got %d", len(a.args))
	}
	return a.args[0]
}

func isType(name string, v any) bool {
	switch x := v.(type) {
	case nil:
		return name == "none"
	case bool:
		return name == "boolean" || name == "number" || x && name == "true" || !x && name == "false"
	case int64:
		return name == "integer" || name == "number"
	case float64:
		return name == "float" || name == "number"
	case string:
		return name == "string" || name == "sequence"
	case *list:
		return name == "sequence"
	case *dict:
		return name == "mapping" || name == "sequence"
	case undefined:
		return name == "sequence"
	case function:
		return name == "callable"
	}
	return false
}

// isCase is Python's str.islower and str.isupper: some letter has a case, and all that have one have this.
func isCase(s, want string) bool {
	cased := false
	for _, r := range s {
		if unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r) {
			if unicode.IsUpper(r) != (want == "upper") || unicode.IsTitle(r) {
				return false
			}
			cased = true
		}
	}
	return cased
}

// globals are the functions that a template may call by name.
var globals = map[string]function{
	"range":           rangeOf,
	"dict":            dictOf,
	"namespace":       namespaceOf,
	"raise_exception": raise,
}

func rangeOf(ev *evaluator, at int, args []any, named map[string]any) any {
	a := arg{ev, at, "range", args, named}
	a.only("start", "stop", "step")
	lo, hi, step := int64(0), a.int(0, "start", 0), int64(1)
	if len(args) > 1 {
		lo, hi, step = hi, a.int(1, "stop", 0), a.int(2, "step", 1)
	}
	if step == 0 {
		a.fail("the step must not be zero")
	}
	out := &list{}
	for i := lo; step > 0 && i < hi || step < 0 && i > hi; i += step {
		if len(out.items) == maxRange {
			a.fail("more than %d items", maxRange)
		}
		out.items = append(out.items, i)
	}
	return out
}

func dictOf(ev *evaluator, at int, args []any, named map[string]any) any {
	d := newDict()
	for _, v := range args {
		from, ok := v.(*dict)
		if !ok || len(args) > 1 {
			ev.fail(at, "dict: want one dict or named arguments")
		}
		for _, k := range from.keys {
			d.set(k, from.values[k])
		}
	}
	for _, k := range sortedKeys(named) {
		d.set(k, named[k])
	}
	return d
}

func namespaceOf(ev *evaluator, at int, args []any, named map[string]any) any {
	d, _ := dictOf(ev, at, args, named).(*dict)
	return &namespace{*d}
}

func raise(ev *evaluator, at int, args []any, _ map[string]any) any {
	msg := make([]string, len(args))
	for i, v := range args {
		msg[i] = show(v)
	}
	e := ev.src.errorf(at, "the template says: %s", strings.Join(msg, " "))
	e.Raised = true
	panic(e)
}
