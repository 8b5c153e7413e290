package jinja

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The values of a template: nil, bool, int64, float64, string, *list, *dict, *namespace, function,
// *loop and undefined.
type (
	list struct {
		items []any
		tuple bool
	}
	dict struct {
		keys   []any
		values map[any]any
	}
	namespace struct{ vars dict }
	function  func(ev *evaluator, at int, args []any, named map[string]any) any
	undefined struct{ why string }
)

// Item is one entry of a Dict.
type Item struct {
	Key   string
	Value any
}

// Dict is a mapping that keeps its order. A plain map[string]any is taken in alphabetical order.
type Dict []Item

func newDict() *dict { return &dict{values: map[any]any{}} }

func (d *dict) set(k, v any) {
	if _, ok := d.values[k]; !ok {
		d.keys = append(d.keys, k)
	}
	d.values[k] = v
}

// key is the form of a value in which a dict holds it as key: numbers that are equal are one key.
func key(v any) (any, bool) {
	switch x := v.(type) {
	case bool:
		if x {
			return int64(1), true
		}
		return int64(0), true
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1<<62 {
			return int64(x), true
		}
		return x, true
	case nil, int64, string:
		return v, true
	}
	return nil, false
}

func (d *dict) get(k any) (any, bool) {
	h, ok := key(k)
	if !ok {
		return nil, false
	}
	v, ok := d.values[h]
	return v, ok
}

// convert makes a value of a template out of one of Go's.
func convert(v any) (any, error) {
	switch x := v.(type) {
	case nil, bool, int64, float64, string:
		return v, nil
	case int:
		return int64(x), nil
	case func(string) string:
		return function(func(ev *evaluator, at int, args []any, named map[string]any) any {
			return x(arg{ev, at, "function", args, named}.str(0, "argument", ""))
		}), nil
	case Dict:
		d := newDict()
		for _, it := range x {
			c, err := convert(it.Value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", it.Key, err)
			}
			d.set(it.Key, c)
		}
		return d, nil
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Int8, reflect.Int16, reflect.Int32:
		return r.Int(), nil
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return int64(r.Uint()), nil
	case reflect.Float32:
		return r.Float(), nil
	case reflect.String:
		return r.String(), nil
	case reflect.Slice, reflect.Array:
		l := &list{}
		for i := range r.Len() {
			c, err := convert(r.Index(i).Interface())
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			l.items = append(l.items, c)
		}
		return l, nil
	case reflect.Map:
		return convertMap(r)
	}
	return nil, fmt.Errorf("a template cannot use a %T", v)
}

func convertMap(r reflect.Value) (any, error) {
	if r.Type().Key().Kind() != reflect.String {
		return nil, fmt.Errorf("a template cannot use a %s", r.Type())
	}
	keys := r.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	d := newDict()
	for _, k := range keys {
		c, err := convert(r.MapIndex(k).Interface())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		d.set(k.String(), c)
	}
	return d, nil
}

func truth(v any) bool {
	switch x := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return x
	case int64:
		return x != 0
	case float64:
		return x != 0
	case string:
		return x != ""
	case *list:
		return len(x.items) > 0
	case *dict:
		return len(x.keys) > 0
	}
	return true
}

// typeName is Python's name for the type of v.
func typeName(v any) string {
	switch x := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case *list:
		if x.tuple {
			return "tuple"
		}
		return "list"
	case *dict:
		return "dict"
	case undefined:
		return "Undefined"
	case function:
		return "function"
	case *loop:
		return "LoopContext"
	}
	return "Namespace"
}

// number is v as a number: an int64 or, with isFloat, a float64.
func number(v any) (i int64, f float64, isFloat, ok bool) {
	switch x := v.(type) {
	case bool:
		if x {
			return 1, 1, false, true
		}
		return 0, 0, false, true
	case int64:
		return x, float64(x), false, true
	case float64:
		return 0, x, true, true
	}
	return 0, 0, false, false
}

func equal(a, b any) bool {
	if i, f, aFloat, ok := number(a); ok {
		j, g, bFloat, ok := number(b)
		if !ok {
			return false
		}
		if aFloat || bFloat {
			return f == g
		}
		return i == j
	}
	switch x := a.(type) {
	case *list:
		y, ok := b.(*list)
		return ok && x.tuple == y.tuple && slices.EqualFunc(x.items, y.items, equal)
	case *dict:
		y, ok := b.(*dict)
		if !ok || len(x.keys) != len(y.keys) {
			return false
		}
		for _, k := range x.keys {
			if v, ok := y.values[k]; !ok || !equal(x.values[k], v) {
				return false
			}
		}
		return true
	case undefined:
		_, ok := b.(undefined)
		return ok
	case function:
		return false
	}
	if _, ok := b.(function); ok {
		return false
	}
	return a == b
}

// order compares two values that Python can order.
func order(a, b any) (int, bool) {
	if i, f, aFloat, ok := number(a); ok {
		j, g, bFloat, ok := number(b)
		switch {
		case !ok:
			return 0, false
		case aFloat || bFloat:
			return compareFloats(f, g), true
		case i < j:
			return -1, true
		case i > j:
			return 1, true
		}
		return 0, true
	}
	if s, ok := a.(string); ok {
		t, ok := b.(string)
		return strings.Compare(s, t), ok
	}
	x, ok1 := a.(*list)
	y, ok2 := b.(*list)
	if !ok1 || !ok2 || x.tuple != y.tuple {
		return 0, false
	}
	for i := range min(len(x.items), len(y.items)) {
		if !equal(x.items[i], y.items[i]) {
			return order(x.items[i], y.items[i])
		}
	}
	return len(x.items) - len(y.items), true
}

func compareFloats(f, g float64) int {
	switch {
	case f < g:
		return -1
	case f > g:
		return 1
	}
	return 0
}

// show is v as a print statement shows it: Python's str.
func show(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case undefined:
		return ""
	}
	return repr(v)
}

// repr is Python's repr.
func repr(v any) string {
	switch x := v.(type) {
	case nil:
		return "None"
	case bool:
		if x {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(x, 10)
	case float64:
		return reprFloat(x)
	case string:
		return reprString(x)
	case *list:
		parts := make([]string, len(x.items))
		for i, it := range x.items {
			parts[i] = repr(it)
		}
		s := strings.Join(parts, ", ")
		switch {
		case !x.tuple:
			return "[" + s + "]"
		case len(parts) == 1:
			return "(" + s + ",)"
		}
		return "(" + s + ")"
	case *dict:
		parts := make([]string, len(x.keys))
		for i, k := range x.keys {
			parts[i] = repr(k) + ": " + repr(x.values[k])
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case undefined:
		return "Undefined"
	}
	return "<" + typeName(v) + ">"
}

func reprFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	mantissa, exp, _ := strings.Cut(s, "e")
	if e, _ := strconv.Atoi(exp); e < -4 || e >= 16 { // FormatFloat wrote the exponent
		return mantissa + "e" + exp
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func reprString(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var out strings.Builder
	out.WriteByte(quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\r':
			out.WriteString(`\r`)
		case r == '\t':
			out.WriteString(`\t`)
		case r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r):
			out.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&out, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			fmt.Fprintf(&out, `\U%08x`, r)
		}
	}
	out.WriteByte(quote)
	return out.String()
}

// iterate is the items that a loop over v sees.
func iterate(v any) ([]any, bool) {
	switch x := v.(type) {
	case *list:
		return x.items, true
	case *dict:
		return x.keys, true
	case string:
		var out []any
		for _, r := range x {
			out = append(out, string(r))
		}
		return out, true
	case undefined:
		return nil, true
	}
	return nil, false
}
