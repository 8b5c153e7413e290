package jinja

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

type golden struct {
	Templates map[string]string
	Cases     []struct {
		Template string
		Vars     json.RawMessage
		Out      *string
		Error    string
	}
	Vars     json.RawMessage
	Snippets []struct {
		Src   string
		Out   *string
		Error string
	}
}

func loadGolden(t *testing.T) golden {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// variables reads JSON with the order of its objects.
func variables(t *testing.T, raw json.RawMessage) map[string]any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	d, ok := ordered(t, dec).(Dict)
	if !ok {
		t.Fatalf("no object: %.50s", raw)
	}
	out := map[string]any{}
	for _, it := range d {
		out[it.Key] = it.Value
	}
	return out
}

func ordered(t *testing.T, dec *json.Decoder) any {
	tok, err := dec.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch x := tok.(type) {
	case json.Number:
		if i, err := x.Int64(); err == nil {
			return i
		}
		f, _ := x.Float64()
		return f
	case json.Delim:
		var d Dict
		var l []any
		for dec.More() {
			if x == '[' {
				l = append(l, ordered(t, dec))
				continue
			}
			k, _ := dec.Token()
			key, _ := k.(string)
			d = append(d, Item{key, ordered(t, dec)})
		}
		if _, err := dec.Token(); err != nil {
			t.Fatal(err)
		}
		if x == '[' {
			return l
		}
		return d
	}
	return tok
}

func render(src string, vars map[string]any) (string, error) {
	tmpl, err := Parse(src)
	if err != nil {
		return "", err
	}
	return tmpl.Render(vars)
}

func check(t *testing.T, name, src string, vars map[string]any, want *string, wantErr string) {
	t.Helper()
	got, err := render(src, vars)
	switch {
	case want == nil && err == nil:
		t.Errorf("%s: got %q, want the error %s", name, got, wantErr)
	case want == nil:
		var e *Error
		if !errors.As(err, &e) || e.Line < 1 || e.Col < 1 {
			t.Errorf("%s: error %v has no position", name, err)
		}
	case err != nil:
		t.Errorf("%s: %v, want %q", name, err, *want)
	case got != *want:
		t.Errorf("%s:\n got %q\nwant %q", name, got, *want)
	}
}

// TestTemplates renders the models' templates as transformers does.
func TestTemplates(t *testing.T) {
	g := loadGolden(t)
	for _, c := range g.Cases {
		check(t, c.Template, g.Templates[c.Template], variables(t, c.Vars), c.Out, c.Error)
	}
}

// TestSnippets goes through the language bit by bit.
func TestSnippets(t *testing.T) {
	g := loadGolden(t)
	vars := variables(t, g.Vars)
	for _, s := range g.Snippets {
		check(t, s.Src, s.Src, vars, s.Out, s.Error)
	}
}

// TestErrors wants each mistake said in words, with its place.
func TestErrors(t *testing.T) {
	for src, want := range map[string]string{
		"{{ x | uper }}":                       `1:8: filter "uper" is not supported; did you mean "upper"?`,
		"a\n{% if x is strng %}{% endif %}":    `2:12: test "strng" is not supported; did you mean "string"?`,
		"{% fro x in y %}":                     `1:4: unknown tag "fro"; did you mean "for"?`,
		"{% for x in y %}\n{% endif %}":        `2:4: unexpected tag "endif": the innermost block is for, which wants "endfor"`,
		"{% if x %}":                           `1:11: the if block is not closed: missing "endif"`,
		"é {{ nope.role }}":                    `1:10: no attribute "role" of nothing: "nope" is undefined`,
		"{{ message.rol.x }}":                  `1:15: no attribute "x" of nothing: dict has no attribute "rol"; did you mean "role"?`,
		"{{ 'a' + 1 }}":                        `1:8: operator + does not take str and int`,
		"{{ raise_exception('no ' ~ 'way') }}": `1:4: the template says: no way`,
		"{% include 'x' %}":                    `1:4: the include statement is not supported`,
		"{{ x":                                 `1:1: tag is not closed: missing "}}"`,
		"{{ 'x }}":                             `1:4: string is not closed`,
		"{# x":                                 `1:1: missing end of comment tag`,
		"{{ 1 ; 2 }}":                          `1:6: unexpected character ';'`,
		"{% break %}":                          `1:4: break outside of a loop`,
		"{{ range(1000000) }}":                 `1:4: range: more than 100000 items`,
		"{{ 'aaaaaaaaaa' * 100000000 }}":       `1:17: 100000000 times a str of 10 is too long`,
		"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}":                         `1:20: calls nested too deeply`,
		"{{ 9223372036854775807 + 1 }}":                                           `1:24: the result of 9223372036854775807 + 1 is out of range`,
		"{{ " + strings.Repeat("(", 300) + "1" + strings.Repeat(")", 300) + " }}": `1:204: expression nested too deeply`,
		"{{ m(*x) }}":               `1:6: * arguments are not supported`,
		"{{ message.pop('role') }}": `1:11: pop: templates may not change values`,
	} {
		_, err := render(src, map[string]any{"message": map[string]any{"role": "user"}})
		if err == nil || err.Error() != want {
			t.Errorf("%.60s\n got %v\nwant %s", src, err, want)
		}
	}
	_, err := render("{{ x }}", map[string]any{"x": map[string]any{"y": []any{make(chan int)}}})
	if err == nil || !strings.Contains(err.Error(), "a template cannot use a chan int") {
		t.Errorf("got %v", err)
	}
	var e *Error
	if _, err := render("{{ raise_exception('x') }}", nil); !errors.As(err, &e) || !e.Raised {
		t.Errorf("got %v, want a raised one", err)
	}
}

// TestEndless wants a template that never ends to end.
func TestEndless(t *testing.T) {
	src := "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
	if _, err := render(src, nil); err == nil || !strings.Contains(err.Error(), "more than 1000000 steps") {
		t.Errorf("got %v", err)
	}
}

// TestGoValues renders what Go programs pass.
func TestGoValues(t *testing.T) {
	got, err := render("{{ a }} {{ b }} {{ c.x }} {{ d }} {{ now('%Y') }} {{ e }}", map[string]any{"a": 3, "b": []string{"x"}, "c": map[string]int{"x": 1},
		"d": []map[string]string{{"b": "1", "a": "2"}}, "now": func(f string) string { return "at " + f }, "e": float32(0.5)})
	if want := "3 ['x'] 1 [{'a': '2', 'b': '1'}] at %Y 0.5"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}
