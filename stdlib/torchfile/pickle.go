package torchfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// Values of a pickle: nil, bool, int64, float64, string, tuple, *list, *dict, global, *storage and *view.
type (
	tuple  []any
	list   struct{ items []any }
	global string // "module.name" of a thing that is allowed
)

// dict keeps the order of its keys. Only strings are looked up, so other keys are kept as they are.
type dict struct {
	keys, values []any
	at           map[string]int
}

func (d *dict) set(k, v any) {
	if s, ok := k.(string); ok {
		if i, ok := d.at[s]; ok {
			d.values[i] = v
			return
		}
		if d.at == nil {
			d.at = map[string]int{}
		}
		d.at[s] = len(d.keys)
	}
	d.keys, d.values = append(d.keys, k), append(d.values, v)
}

func (d *dict) get(k string) any {
	if i, ok := d.at[k]; ok {
		return d.values[i]
	}
	return nil
}

// machine runs one pickle. It allocates only in proportion to the pickle's length, and never recurses.
type machine struct {
	data  []byte
	at    int
	stack []any
	marks []int
	memo  map[uint32]any

	storages map[string]*storage
}

var errShort = errors.New("ends in the middle: truncated")

// unpickle reads the pickle that data begins with and gives what it builds and how long it is.
func (m *machine) unpickle(data []byte) (v any, n int, err error) {
	*m = machine{data: data, memo: map[uint32]any{}, storages: m.storages}
	for {
		op, err := m.bytes(1)
		if err != nil {
			return nil, 0, err
		}
		if op[0] == '.' {
			v, err := m.pop()
			return v, m.at, err
		}
		if err := m.step(op[0]); err != nil {
			return nil, 0, err
		}
	}
}

// step runs one opcode (Lib/pickletools.py): those that pickles of protocols 2 to 4 need for plain data.
func (m *machine) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		_, err := m.bytes(1)
		return err
	case 0x95: // FRAME: a hint for readers of streams
		_, err := m.bytes(8)
		return err
	case 'N':
		m.push(nil)
	case 0x88, 0x89:
		m.push(op == 0x88)
	case 'K', 'M', 'J', 0x8a, 'G':
		return m.number(op)
	case 'X', 0x8c, 'T', 'U':
		return m.text(op)
	case ']':
		m.push(&list{})
	case '}':
		m.push(&dict{})
	case '(':
		m.marks = append(m.marks, len(m.stack))
	case ')', 't', 0x85, 0x86, 0x87:
		return m.tuple(op)
	case 'a', 'e', 's', 'u':
		return m.fill(op)
	case 'q', 'r', 0x94, 'h', 'j':
		return m.remember(op)
	case '0': // POP
		_, err := m.pop()
		return err
	case 'c', 0x93:
		return m.global(op)
	case 'Q':
		return m.persistent()
	case 'R':
		return m.reduce()
	case 'b':
		return m.build()
	default:
		return fmt.Errorf("has the opcode %#02x at byte %d, which no dictionary of tensors needs", op, m.at-1)
	}
	return nil
}

func (m *machine) bytes(n uint64) ([]byte, error) {
	if n > uint64(len(m.data)-m.at) {
		return nil, errShort
	}
	b := m.data[m.at : m.at+int(n)]
	m.at += int(n)
	return b, nil
}

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

// pop takes the top of the stack, above the last mark.
func (m *machine) pop() (any, error) {
	floor := 0
	if len(m.marks) > 0 {
		floor = m.marks[len(m.marks)-1]
	}
	if len(m.stack) <= floor {
		return nil, fmt.Errorf("takes a value from an empty stack at byte %d: damaged", m.at-1)
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

// popMark takes what stands above the last mark, and the mark. The values are the caller's.
func (m *machine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, fmt.Errorf("closes what it has not opened at byte %d: damaged", m.at-1)
	}
	lo := m.marks[len(m.marks)-1]
	m.marks = m.marks[:len(m.marks)-1]
	out := append([]any(nil), m.stack[lo:]...)
	m.stack = m.stack[:lo]
	return out, nil
}

func (m *machine) number(op byte) error {
	size := map[byte]uint64{'K': 1, 'M': 2, 'J': 4, 0x8a: 1, 'G': 8}[op]
	b, err := m.bytes(size)
	if err != nil {
		return err
	}
	switch op {
	case 'K':
		m.push(int64(b[0]))
	case 'M':
		m.push(int64(binary.LittleEndian.Uint16(b)))
	case 'J':
		m.push(int64(int32(binary.LittleEndian.Uint32(b))))
	case 'G':
		m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	case 0x8a: // LONG1: little-endian two's complement of any length
		if b, err = m.bytes(uint64(b[0])); err != nil {
			return err
		}
		var v uint64
		for i, c := range b {
			if i < 8 {
				v |= uint64(c) << (8 * i)
			}
		}
		if n := len(b); n > 0 && n < 8 && b[n-1]&0x80 != 0 {
			v |= ^uint64(0) << (8 * n)
		}
		if len(b) > 8 {
			m.push(bigInt(b)) // only the magic number of bare pickles
			return nil
		}
		m.push(int64(v))
	}
	return nil
}

// bigInt is an integer of more than 64 bits: its little-endian bytes.
type bigInt string

func (m *machine) text(op byte) error {
	size := map[byte]uint64{'X': 4, 'T': 4, 0x8c: 1, 'U': 1}[op]
	b, err := m.bytes(size)
	if err != nil {
		return err
	}
	n := uint64(b[0])
	if size == 4 {
		n = uint64(binary.LittleEndian.Uint32(b))
	}
	if b, err = m.bytes(n); err != nil {
		return err
	}
	if !utf8.Valid(b) {
		return fmt.Errorf("has a string that is not UTF-8 at byte %d", m.at-int(n))
	}
	m.push(string(b))
	return nil
}

func (m *machine) tuple(op byte) error {
	if op == 't' {
		items, err := m.popMark()
		m.push(tuple(items))
		return err
	}
	n := 0
	if op != ')' {
		n = int(op) - 0x84
	}
	t := make(tuple, n)
	for i := n - 1; i >= 0; i-- {
		v, err := m.pop()
		if err != nil {
			return err
		}
		t[i] = v
	}
	m.push(t)
	return nil
}

// fill adds to the list or dictionary on the stack.
func (m *machine) fill(op byte) error {
	var items []any
	var err error
	switch op {
	case 'e', 'u':
		items, err = m.popMark()
	case 'a':
		var v any
		v, err = m.pop()
		items = []any{v}
	case 's':
		var k, v any
		v, err = m.pop()
		if err == nil {
			k, err = m.pop()
		}
		items = []any{k, v}
	}
	if err != nil {
		return err
	}
	top, err := m.pop()
	if err != nil {
		return err
	}
	m.push(top)
	switch c := top.(type) {
	case *list:
		if op == 'a' || op == 'e' {
			c.items = append(c.items, items...)
			return nil
		}
	case *dict:
		if (op == 's' || op == 'u') && len(items)%2 == 0 {
			for i := 0; i < len(items); i += 2 {
				c.set(items[i], items[i+1])
			}
			return nil
		}
	}
	return fmt.Errorf("adds items to %s at byte %d: damaged", describe(top), m.at-1)
}

// remember writes to the memo or reads from it.
func (m *machine) remember(op byte) error {
	key := uint32(len(m.memo)) // MEMOIZE
	if op != 0x94 {
		size := uint64(1)
		if op == 'r' || op == 'j' {
			size = 4
		}
		b, err := m.bytes(size)
		if err != nil {
			return err
		}
		key = uint32(b[0])
		if size == 4 {
			key = binary.LittleEndian.Uint32(b)
		}
	}
	if op == 'h' || op == 'j' {
		v, ok := m.memo[key]
		if !ok {
			return fmt.Errorf("recalls entry %d, which it has not stored: damaged", key)
		}
		m.push(v)
		return nil
	}
	v, err := m.pop()
	if err != nil {
		return err
	}
	m.push(v)
	m.memo[key] = v
	return nil
}

// describe says what a value is, for errors.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "a bool"
	case int64, bigInt:
		return "an integer"
	case float64:
		return "a float"
	case string:
		return "a string"
	case tuple:
		return "a tuple"
	case *list:
		return "a list"
	case *dict:
		return "a dictionary"
	case global:
		return string(v)
	case *storage:
		return "a storage"
	case *view:
		return "a tensor"
	}
	return fmt.Sprintf("%T", v)
}
