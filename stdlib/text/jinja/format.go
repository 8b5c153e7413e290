package jinja

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var verb = regexp.MustCompile(`%([-+ 0#]*)(\d*)(?:\.(\d+))?([a-zA-Z%])`)

// format is Python's % with %s, %r, %d, %i, %f, %e, %g, %x and %%.
func (ev *evaluator) format(at int, s string, args []any) string {
	next := 0
	out := verb.ReplaceAllStringFunc(s, func(spec string) string {
		m := verb.FindStringSubmatch(spec)
		if m[4] == "%" {
			return "%"
		}
		if width, _ := strconv.Atoi(m[2] + "0"); width > 100000 {
			ev.fail(at, "format %s is too wide", spec)
		}
		if precision, _ := strconv.Atoi(m[3] + "0"); precision > 10000 {
			ev.fail(at, "format %s is too precise", spec)
		}
		if next >= len(args) {
			ev.fail(at, "not enough arguments for the format %q", s)
		}
		v := args[next]
		next++
		plain := strings.TrimSuffix(spec, m[4])
		i, f, isFloat, ok := number(v)
		switch m[4] {
		case "s":
			return fmt.Sprintf(plain+"s", show(v))
		case "r":
			return fmt.Sprintf(plain+"s", repr(v))
		case "d", "i", "x", "X", "o":
			if !ok {
				ev.fail(at, "format %s wants a number, got %s", spec, ev.describe(v))
			}
			if isFloat {
				i = int64(f)
			}
			return fmt.Sprintf(plain+strings.Replace(m[4], "i", "d", 1), i)
		case "f", "F", "e", "E", "g", "G":
			if !ok {
				ev.fail(at, "format %s wants a number, got %s", spec, ev.describe(v))
			}
			if strings.EqualFold(m[4], "g") && m[3] == "" {
				plain += ".6"
			}
			return fmt.Sprintf(plain+m[4], f)
		}
		ev.fail(at, "format %s is not supported", spec)
		return ""
	})
	if next < len(args) {
		ev.fail(at, "%d arguments for the format %q are left over", len(args)-next, s)
	}
	return out
}

// toJSON is transformers' tojson: json.dumps with ensure_ascii off and no escaping for HTML.
func toJSON(a arg, v any) any {
	a.only("ensure_ascii", "indent", "separators", "sort_keys")
	j := jsonWriter{a: a, item: ", ", colon: ": ", ascii: truth(a.get(0, "ensure_ascii", false)), sort: truth(a.get(3, "sort_keys", false))}
	switch by := a.get(1, "indent", nil).(type) {
	case nil:
	case string:
		j.by, j.lines, j.item = by, true, ","
	default:
		n := a.int(1, "indent", 0)
		if n > 1000 {
			a.fail("indent %d is too large", n)
		}
		j.by, j.lines, j.item = strings.Repeat(" ", int(max(n, 0))), true, ","
	}
	if sep, ok := a.get(2, "separators", nil).(*list); ok {
		if len(sep.items) != 2 {
			a.fail("separators: want two strings")
		}
		j.item, j.colon = show(sep.items[0]), show(sep.items[1])
	}
	j.write(v, "\n")
	return j.out.String()
}

type jsonWriter struct {
	out         strings.Builder
	a           arg
	item, colon string
	by          string
	lines       bool
	ascii, sort bool
	depth       int
}

func (j *jsonWriter) write(v any, line string) {
	if j.depth++; j.depth > maxDepth {
		j.a.fail("nested too deeply")
	}
	switch x := v.(type) {
	case nil:
		j.out.WriteString("null")
	case bool:
		j.out.WriteString(strconv.FormatBool(x))
	case int64:
		j.out.WriteString(strconv.FormatInt(x, 10))
	case float64:
		s := reprFloat(x)
		switch s {
		case "nan":
			s = "NaN"
		case "inf", "-inf":
			s = strings.Replace(s, "inf", "Infinity", 1)
		}
		j.out.WriteString(s)
	case string:
		j.string(x)
	case *list:
		j.block('[', ']', line, len(x.items), func(i int, line string) { j.write(x.items[i], line) })
	case *dict:
		keys := x.keys
		if j.sort {
			l, _ := sorted(arg{ev: j.a.ev, at: j.a.at, name: j.a.name, args: []any{false, true}}, &list{items: keys}).(*list)
			keys = l.items
		}
		j.block('{', '}', line, len(keys), func(i int, line string) {
			k := keys[i]
			if s, ok := k.(string); ok {
				j.string(s)
			} else {
				j.out.WriteByte('"')
				j.write(k, line)
				j.out.WriteByte('"')
			}
			j.out.WriteString(j.colon)
			j.write(x.values[k], line)
		})
	default:
		j.a.fail("%s has no JSON", j.a.ev.describe(v))
	}
	j.depth--
}

func (j *jsonWriter) block(open, end byte, line string, n int, item func(i int, line string)) {
	j.out.WriteByte(open)
	inner := line + j.by
	for i := range n {
		if i > 0 {
			j.out.WriteString(j.item)
		}
		if j.lines {
			j.out.WriteString(inner)
		}
		item(i, inner)
	}
	if j.lines && n > 0 {
		j.out.WriteString(line)
	}
	j.out.WriteByte(end)
}

func (j *jsonWriter) string(s string) {
	j.out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			j.out.WriteByte('\\')
			j.out.WriteRune(r)
		case r == '\n':
			j.out.WriteString(`\n`)
		case r == '\r':
			j.out.WriteString(`\r`)
		case r == '\t':
			j.out.WriteString(`\t`)
		case r == '\b':
			j.out.WriteString(`\b`)
		case r == '\f':
			j.out.WriteString(`\f`)
		case r < 0x20, j.ascii && r > 0x7e && r < 0x10000:
			fmt.Fprintf(&j.out, `\u%04x`, r)
		case j.ascii && r >= 0x10000:
			r -= 0x10000
			fmt.Fprintf(&j.out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			j.out.WriteRune(r)
		}
	}
	j.out.WriteByte('"')
}
