package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"lightbox/stdlib/text"
)

// node is a JSON object of a tokenizer file; its errors name the file and the key.
type node struct {
	file, key string
	fields    map[string]json.RawMessage
}

// readObject reads an object; ok is false for null or nothing at all.
func readObject(file, key string, raw json.RawMessage) (n node, ok bool, err error) {
	raw = bytes.TrimSpace(raw)
	n = node{file: file, key: key}
	if len(raw) == 0 || string(raw) == "null" {
		return n, false, nil
	}
	if err := json.Unmarshal(raw, &n.fields); err != nil {
		return n, false, n.errorf("", "%w", describe(err, "an object"))
	}
	return n, true, nil
}

// describe says in plain words what encoding/json stumbled over.
func describe(err error, want string) error {
	switch e := err.(type) {
	case *json.UnmarshalTypeError:
		return fmt.Errorf("want %s, got %s", want, e.Value)
	case *json.SyntaxError:
		return fmt.Errorf("no JSON at byte %d: %w", e.Offset, err)
	}
	return err
}

func (n node) at(key string) string {
	switch {
	case key == "":
		return n.key
	case n.key == "":
		return key
	}
	return n.key + "." + key
}

func (n node) errorf(key, format string, args ...any) error {
	where := n.file
	if k := n.at(key); k != "" {
		where += ": " + k
	}
	return fmt.Errorf("%s: "+format, append([]any{where}, args...)...)
}

// get reads a field into a value of type T; an absent or null field gives zero.
func get[T any](n node, key string, zero T, want string) (T, error) {
	raw, ok := n.fields[key]
	if !ok || string(raw) == "null" {
		return zero, nil
	}
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return zero, n.errorf(key, "%w", describe(err, want))
	}
	return v, nil
}

// need is get for a field that must be there; a misspelt one is pointed at.
func need[T any](n node, key, want string) (T, error) {
	var zero T
	if raw, ok := n.fields[key]; ok && string(raw) != "null" {
		return get(n, key, zero, want)
	}
	return zero, n.errorf(key, "missing%s", hint(key, keysOf(n.fields)))
}

func keysOf[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// hint is `; did you mean "x"?` if one of among is near.
func hint(got string, among []string) string {
	if near, ok := text.Nearest(got, among); ok {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// child reads a field that is an object.
func (n node) child(key string) (node, bool, error) {
	return readObject(n.file, n.at(key), n.fields[key])
}

// list reads a field that is a list of objects.
func (n node) list(key string) ([]node, error) {
	raws, err := need[[]json.RawMessage](n, key, "a list")
	if err != nil {
		return nil, err
	}
	out := make([]node, len(raws))
	for i, raw := range raws {
		c, ok, err := readObject(n.file, fmt.Sprintf("%s[%d]", n.at(key), i), raw)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, c.errorf("", "want an object, got null")
		}
		out[i] = c
	}
	return out, nil
}

// kind reads the type of a stage.
func (n node) kind() (string, error) { return need[string](n, "type", "a string") }

// unknownKind is the error for a stage of a type that is not among known.
func (n node) unknownKind(kind string, known ...string) error {
	return n.errorf("type", "%q is not supported%s", kind, hint(kind, known))
}

// one reads a field that is a single character.
func (n node) one(key string) (rune, error) {
	s, err := need[string](n, key, "a string")
	if err != nil {
		return 0, err
	}
	r := []rune(s)
	if len(r) != 1 {
		return 0, n.errorf(key, "want one character, got %q", s)
	}
	return r[0], nil
}

// pattern reads {"String": …} or {"Regex": …}.
func (n node) pattern(key string) (matcher, error) {
	p, ok, err := n.child(key)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, n.errorf(key, "missing%s", hint(key, keysOf(n.fields)))
	}
	if _, ok := p.fields["String"]; ok {
		s, err := need[string](p, "String", "a string")
		if err == nil && s == "" {
			err = p.errorf("String", "an empty pattern matches nothing")
		}
		return literal(s), err
	}
	s, err := need[string](p, "Regex", "a string")
	if err != nil {
		return nil, err
	}
	m, err := compile(s)
	if err != nil {
		return nil, p.errorf("Regex", "%w", err)
	}
	return m, nil
}

func (n node) behavior(key string) (behavior, error) {
	names := []string{"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"}
	s, err := need[string](n, key, "a string")
	if err != nil {
		return 0, err
	}
	i := slices.Index(names, s)
	if i < 0 {
		return 0, n.errorf(key, "%q is not one of %q%s", s, names, hint(s, names))
	}
	return behavior(i), nil
}
