package nn

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Named is a parameter with its full name in the module tree,
// "model.language_model.layers.0.self_attn.q_proj.weight".
type Named struct {
	Name string
	*Param
}

// NamedLinear is a Linear with its path, "model.language_model.layers.0.self_attn.q_proj".
type NamedLinear struct {
	Path string
	*Linear
}

// Params lists the parameters under root in the order of its fields. A
// parameter that stands in two places (a tied head) is listed at the first.
// Buffers are no parameters.
func Params(root any) []Named { return tensors(root, func(p *Param) bool { return !p.Buffer }) }

// Buffers lists the buffers under root in the order of its fields.
func Buffers(root any) []Named { return tensors(root, func(p *Param) bool { return p.Buffer }) }

// State lists parameters and buffers in the order of the fields: all that a
// checkpoint holds.
func State(root any) []Named { return tensors(root, func(*Param) bool { return true }) }

// tensors lists the wanted ones.
func tensors(root any, wanted func(*Param) bool) []Named {
	var out []Named
	seen := map[*Param]bool{}
	walk(reflect.ValueOf(root), "", func(path string, v reflect.Value) {
		if p, ok := v.Interface().(*Param); ok && wanted(p) && !seen[p] {
			seen[p] = true
			out = append(out, Named{path, p})
		}
	})
	return out
}

// Linears lists the Linear layers under root in the order of its fields.
func Linears(root any) []NamedLinear {
	var out []NamedLinear
	walk(reflect.ValueOf(root), "", func(path string, v reflect.Value) {
		if l, ok := v.Interface().(*Linear); ok {
			out = append(out, NamedLinear{path, l})
		}
	})
	return out
}

// Modules lists the paths of all layers under root, parameters left out: the
// names an adapter's targets can mean.
func Modules(root any) []string {
	var out []string
	walk(reflect.ValueOf(root), "", func(path string, v reflect.Value) {
		if _, ok := v.Interface().(*Param); !ok && path != "" {
			out = append(out, path)
		}
	})
	return out
}

// Places lists every place in the tree where a parameter stands, a tied one once for each of its names.
func Places(root any) []Named {
	var out []Named
	walk(reflect.ValueOf(root), "", func(path string, v reflect.Value) {
		if p, ok := v.Interface().(*Param); ok && !p.Buffer {
			out = append(out, Named{path, p})
		}
	})
	return out
}

// Own is the parameter at the place of that name, for itself: one that stands in several places (a tied head) is replaced
// there by a new one with the same tensor. It reports whether there is such a place.
func Own(root any, name string) (*Param, bool) {
	var at reflect.Value
	places := map[*Param]int{}
	walk(reflect.ValueOf(root), "", func(path string, v reflect.Value) {
		if p, ok := v.Interface().(*Param); ok {
			if places[p]++; path == name {
				at = v
			}
		}
	})
	if !at.IsValid() {
		return nil, false
	}
	p := at.Interface().(*Param)
	if places[p] > 1 {
		own := *p
		p = &own
		at.Set(reflect.ValueOf(p))
	}
	return p, true
}

// walk visits every tagged value under v, parents first.
func walk(v reflect.Value, path string, visit func(string, reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		visit(path, v)
		if v.Type() == reflect.TypeFor[*Param]() {
			return
		}
		walk(v.Elem(), path, visit)
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), join(path, strconv.Itoa(i)), visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			tag, ok := v.Type().Field(i).Tag.Lookup("weight")
			if !ok {
				continue
			}
			if f := v.Field(i); strings.HasSuffix(tag, "#") && f.Kind() == reflect.Slice { // numbered from 1
				for j := range f.Len() {
					walk(f.Index(j), join(path, strings.TrimSuffix(tag, "#")+strconv.Itoa(j+1)), visit)
				}
				continue
			}
			walk(v.Field(i), join(path, tag), visit)
		}
	default:
		panic(fmt.Sprintf("nn: %s: a weight tag on a %s; want a pointer, a slice of pointers or a struct", path, v.Type()))
	}
}

func join(path, name string) string {
	if path == "" || name == "" {
		return path + name
	}
	return strings.Join([]string{path, name}, ".")
}
