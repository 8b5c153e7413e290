package step

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"sort"
	"strconv"
)

// Canonical is the form in which parameters enter the plan key: JSON with
// object keys sorted, struct fields at their zero value (and empty slices and
// maps) left out, floats in their shortest form, values behind interfaces
// tagged with their type's name, and functions replaced by the current
// Scope's FuncHash. A field tagged `key:"local"` is left out: for paths of
// files whose content Op.Files brings into the artifact key, and for what
// cannot change the result. A type with MarshalJSON or MarshalText speaks for
// itself. Byte slices enter as SHA-256.
//
// Channels, complex numbers, NaN, Refs (pass those as inputs) and cyclic
// values are errors that name the field.
func Canonical(params any) ([]byte, error) {
	return canonicalParams(params, Current().FuncHash, false)
}

func canonicalParams(params any, funcHash string, whole bool) ([]byte, error) {
	if params == nil {
		return []byte("{}"), nil
	}
	c := canon{funcHash: funcHash, whole: whole}
	if err := c.value(reflect.ValueOf(params), "parameters", 0); err != nil {
		return nil, err
	}
	return c.buf.Bytes(), nil
}

type canon struct {
	buf      bytes.Buffer
	funcHash string
	whole    bool // with the fields tagged key:"local"
}

const maxDepth = 64 // deeper than any parameters; reached only by cyclic values

var refType = reflect.TypeFor[Ref]()

func (c *canon) value(v reflect.Value, path string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: nested too deep (does the value contain itself?)", path)
	}
	if v.Type() == refType {
		return fmt.Errorf("%s: a step among the parameters; steps are passed as inputs", path)
	}
	if done, err := c.marshaler(v, path); done {
		return err
	}
	switch v.Kind() {
	case reflect.Bool:
		c.buf.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		c.buf.WriteString(strconv.FormatInt(v.Int(), 10))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		c.buf.WriteString(strconv.FormatUint(v.Uint(), 10))
	case reflect.Float32, reflect.Float64:
		return c.float(v, path)
	case reflect.String:
		c.text(v.String())
	case reflect.Struct:
		return c.object(v, path, depth)
	case reflect.Map:
		return c.mapping(v, path, depth)
	case reflect.Slice, reflect.Array:
		return c.list(v, path, depth)
	case reflect.Pointer:
		if v.IsNil() {
			c.buf.WriteString("null")
			return nil
		}
		return c.value(v.Elem(), path, depth+1)
	case reflect.Interface:
		return c.tagged(v, path, depth)
	case reflect.Func:
		if v.IsNil() {
			c.buf.WriteString("null")
			return nil
		}
		c.text("func " + c.funcHash)
	default:
		return fmt.Errorf("%s: a %s cannot be a parameter", path, v.Type())
	}
	return nil
}

// marshaler lets types with unexported state speak for themselves.
func (c *canon) marshaler(v reflect.Value, path string) (bool, error) {
	if !v.CanInterface() || v.Kind() == reflect.Interface {
		return false, nil
	}
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return false, nil
	}
	switch m := v.Interface().(type) {
	case json.Marshaler:
		raw, err := m.MarshalJSON()
		if err == nil {
			err = json.Compact(&c.buf, raw)
		}
		if err != nil {
			return true, fmt.Errorf("%s: %w", path, err)
		}
		return true, nil
	case encoding.TextMarshaler:
		raw, err := m.MarshalText()
		if err != nil {
			return true, fmt.Errorf("%s: %w", path, err)
		}
		c.text(string(raw))
		return true, nil
	}
	return false, nil
}

func (c *canon) float(v reflect.Value, path string) error {
	f, bits := v.Float(), 64
	if v.Kind() == reflect.Float32 {
		bits = 32
	}
	switch {
	case math.IsNaN(f):
		return fmt.Errorf("%s: not a number", path)
	case math.IsInf(f, 0):
		c.text(strconv.FormatFloat(f, 'g', -1, bits))
	default:
		c.buf.WriteString(strconv.FormatFloat(f, 'g', -1, bits))
	}
	return nil
}

// text writes s as a JSON string without HTML escapes.
func (c *canon) text(s string) {
	e := json.NewEncoder(&c.buf)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	c.buf.Truncate(c.buf.Len() - 1)
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return v.IsZero()
}

func (c *canon) object(v reflect.Value, path string, depth int) error {
	t := v.Type()
	var fields []int
	for i := range t.NumField() {
		if (c.whole || t.Field(i).Tag.Get("key") != "local") && !empty(v.Field(i)) {
			fields = append(fields, i)
		}
	}
	sort.Slice(fields, func(a, b int) bool { return t.Field(fields[a]).Name < t.Field(fields[b]).Name })
	c.buf.WriteByte('{')
	for n, i := range fields {
		if n > 0 {
			c.buf.WriteByte(',')
		}
		name := t.Field(i).Name
		c.text(name)
		c.buf.WriteByte(':')
		if err := c.value(v.Field(i), path+"."+name, depth+1); err != nil {
			return err
		}
	}
	c.buf.WriteByte('}')
	return nil
}

func (c *canon) mapping(v reflect.Value, path string, depth int) error {
	keys := map[string]reflect.Value{}
	var names []string
	for _, k := range v.MapKeys() {
		var name string
		switch k.Kind() {
		case reflect.String:
			name = k.String()
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
			name = strconv.FormatInt(k.Int(), 10)
		default:
			return fmt.Errorf("%s: a map with keys of type %s cannot be a parameter", path, k.Type())
		}
		keys[name] = v.MapIndex(k)
		names = append(names, name)
	}
	sort.Strings(names)
	c.buf.WriteByte('{')
	for n, name := range names {
		if n > 0 {
			c.buf.WriteByte(',')
		}
		c.text(name)
		c.buf.WriteByte(':')
		if err := c.value(keys[name], path+"["+name+"]", depth+1); err != nil {
			return err
		}
	}
	c.buf.WriteByte('}')
	return nil
}

func (c *canon) list(v reflect.Value, path string, depth int) error {
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
		c.text(fmt.Sprintf("sha256:%x", sha256.Sum256(v.Bytes())))
		return nil
	}
	c.buf.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			c.buf.WriteByte(',')
		}
		if err := c.value(v.Index(i), fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
			return err
		}
	}
	c.buf.WriteByte(']')
	return nil
}

// tagged writes a value behind an interface together with its type, so that
// two kinds of one interface with equal fields differ.
func (c *canon) tagged(v reflect.Value, path string, depth int) error {
	if v.IsNil() {
		c.buf.WriteString("null")
		return nil
	}
	e := v.Elem()
	if e.Type().PkgPath() == "" && e.Kind() != reflect.Pointer {
		return c.value(e, path, depth+1) // string, float64, []any …
	}
	c.buf.WriteString(`{"type":`)
	c.text(e.Type().String())
	c.buf.WriteString(`,"value":`)
	if err := c.value(e, path, depth+1); err != nil {
		return err
	}
	c.buf.WriteByte('}')
	return nil
}
