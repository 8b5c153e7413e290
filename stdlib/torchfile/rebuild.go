package torchfile

import (
	"bytes"
	"fmt"
	"strings"

	"lightbox/stdlib/safetensors"
)

// storage is a run of numbers that tensors look at.
type storage struct {
	key   string
	dtype safetensors.DType
	numel int64
	data  []byte // once it is found
}

// view is a tensor: shape and strides, in elements, over a storage.
type view struct {
	st             *storage
	offset         int64
	shape, strides []int64
}

// storageTypes are the storages by the names that pickles use.
var storageTypes = map[global]safetensors.DType{
	"torch.DoubleStorage":   "F64",
	"torch.FloatStorage":    "F32",
	"torch.HalfStorage":     "F16",
	"torch.BFloat16Storage": "BF16",
	"torch.LongStorage":     "I64",
	"torch.IntStorage":      "I32",
	"torch.ShortStorage":    "I16",
	"torch.CharStorage":     "I8",
	"torch.ByteStorage":     "U8",
	"torch.BoolStorage":     "BOOL",
}

// The other globals that are allowed.
const (
	orderedDict   global = "collections.OrderedDict"
	sizeType      global = "torch.Size"
	rebuildV1     global = "torch._utils._rebuild_tensor"
	rebuildV2     global = "torch._utils._rebuild_tensor_v2"
	rebuildParam  global = "torch._utils._rebuild_parameter"
	rebuildParam2 global = "torch._utils._rebuild_parameter_with_state"
	parameterType global = "torch.nn.parameter.Parameter"
)

var allowed = map[global]bool{
	orderedDict: true, sizeType: true, rebuildV1: true, rebuildV2: true, rebuildParam: true, rebuildParam2: true, parameterType: true,
}

// global names a class or a function; one that is not allowed is the end.
func (m *machine) global(op byte) error {
	var parts [2]string
	if op == 'c' {
		for i := range parts {
			end := bytes.IndexByte(m.data[m.at:], '\n')
			if end < 0 {
				return errShort
			}
			line, _ := m.bytes(uint64(end + 1))
			parts[i] = string(line[:end])
		}
	} else { // STACK_GLOBAL
		for i := 1; i >= 0; i-- {
			v, err := m.pop()
			if err != nil {
				return err
			}
			s, ok := v.(string)
			if !ok {
				return fmt.Errorf("names a global by %s: damaged", describe(v))
			}
			parts[i] = s
		}
	}
	g := global(strings.Join(parts[:], "."))
	if _, ok := storageTypes[g]; !ok && !allowed[g] {
		return fmt.Errorf("wants to use %.100q, which is refused: only dictionaries of tensors are read", string(g))
	}
	m.push(g)
	return nil
}

// persistent reads a reference to a storage: ("storage", type, key, location, numel), and in bare pickles a sixth, None.
func (m *machine) persistent() error {
	v, err := m.pop()
	if err != nil {
		return err
	}
	id, _ := v.(tuple)
	if len(id) == 6 && id[5] == nil {
		id = id[:5]
	}
	if len(id) != 5 || id[0] != "storage" {
		return fmt.Errorf("refers to %s outside itself; want a storage", describe(v))
	}
	g, _ := id[1].(global)
	dtype, ok1 := storageTypes[g]
	key, ok2 := id[2].(string)
	numel, ok3 := id[4].(int64)
	if !ok1 || !ok2 || !ok3 {
		return fmt.Errorf("refers to a storage by (%s, %s, %s); want (type, key, number of elements)", describe(id[1]), describe(id[2]), describe(id[4]))
	}
	if numel < 0 || numel > 1<<56 {
		return fmt.Errorf("has the storage %q of impossible %d elements", key, numel)
	}
	st, ok := m.storages[key]
	if !ok {
		st = &storage{key: key, dtype: dtype, numel: numel}
		m.storages[key] = st
	}
	if st.dtype != dtype || st.numel != numel {
		return fmt.Errorf("has the storage %q twice: %d %s and %d %s", key, st.numel, st.dtype, numel, dtype)
	}
	m.push(st)
	return nil
}

// reduce calls an allowed function.
func (m *machine) reduce() error {
	a, err := m.pop()
	if err != nil {
		return err
	}
	f, err := m.pop()
	if err != nil {
		return err
	}
	g, _ := f.(global)
	args, ok := a.(tuple)
	if !ok || g == "" {
		return fmt.Errorf("calls %s with %s: damaged", describe(f), describe(a))
	}
	switch g {
	case orderedDict:
		d := &dict{}
		if len(args) > 0 { // old pythons: a list of pairs
			pairs, _ := args[0].(*list)
			if pairs == nil {
				return fmt.Errorf("makes a dictionary of %s", describe(args[0]))
			}
			for _, p := range pairs.items {
				if !pair(d, p) {
					return fmt.Errorf("makes a dictionary of %s; want pairs", describe(p))
				}
			}
		}
		m.push(d)
		return nil
	case sizeType:
		if len(args) == 1 {
			m.push(args[0])
			return nil
		}
	case rebuildParam, rebuildParam2, parameterType:
		if len(args) > 0 {
			if v, ok := args[0].(*view); ok {
				m.push(v)
				return nil
			}
		}
	case rebuildV1, rebuildV2:
		if v, ok := newView(args); ok {
			m.push(v)
			return nil
		}
	}
	kinds := make([]string, len(args))
	for i, a := range args {
		kinds[i] = describe(a)
	}
	return fmt.Errorf("calls %s with (%.200s), which does not fit", g, strings.Join(kinds, ", "))
}

func pair(d *dict, v any) bool {
	var kv []any
	switch v := v.(type) {
	case tuple:
		kv = v
	case *list:
		kv = v.items
	}
	if len(kv) != 2 {
		return false
	}
	d.set(kv[0], kv[1])
	return true
}

// newView takes (storage, offset, shape, strides, …).
func newView(args tuple) (*view, bool) {
	if len(args) < 4 {
		return nil, false
	}
	st, ok1 := args[0].(*storage)
	offset, ok2 := args[1].(int64)
	shape, ok3 := ints(args[2])
	strides, ok4 := ints(args[3])
	return &view{st, offset, shape, strides}, ok1 && ok2 && ok3 && ok4 && len(shape) == len(strides)
}

func ints(v any) ([]int64, bool) {
	t, ok := v.(tuple)
	out := make([]int64, len(t))
	for i, x := range t {
		n, isInt := x.(int64)
		out[i], ok = n, ok && isInt
	}
	return out, ok
}

// build gives an object its attributes. Those of a dictionary (a state_dict's _metadata) and of a tensor say nothing of
// its weights.
func (m *machine) build() error {
	state, err := m.pop()
	if err != nil {
		return err
	}
	v, err := m.pop()
	if err != nil {
		return err
	}
	m.push(v)
	switch v.(type) {
	case *dict, *view:
		return nil
	}
	return fmt.Errorf("gives %s to %s, which is refused", describe(state), describe(v))
}
