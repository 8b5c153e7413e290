package tensor

import (
	"fmt"
	"strings"
)

// Error is what an op panics with when it is called with what it cannot take: a mistake in a model's code, or a
// checkpoint that does not fit it. The step that runs the op recovers it.
type Error struct {
	Op   string // the op, "linear"
	Arg  string // its argument, "w"
	Name string // the tensor's name, when it has one
	Got  string
	Want string
}

// Error is one line with all of it.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	b.WriteString(": ")
	b.WriteString(e.Arg)
	if e.Name != "" {
		fmt.Fprintf(&b, " %q", e.Name)
	}
	fmt.Fprintf(&b, " is %s, want %s", e.Got, e.Want)
	return b.String()
}

// Fail panics with an *Error about argument arg, the tensor t (or nil), of op.
func Fail(op, arg string, t *Tensor, want string, a ...any) {
	e := &Error{Op: op, Arg: arg, Got: "nil", Want: fmt.Sprintf(want, a...)}
	if t != nil {
		e.Name, e.Got = t.name, t.String()
	}
	panic(e)
}

// FailValue panics with an *Error about argument arg of op, which is no tensor.
func FailValue(op, arg string, got any, want string, a ...any) {
	panic(&Error{Op: op, Arg: arg, Got: fmt.Sprint(got), Want: fmt.Sprintf(want, a...)})
}

// String is shape and type, "(2, 3) f32".
func (t *Tensor) String() string { return ShapeString(t.shape) + " " + t.dtype.String() }

// ShapeString writes a shape as "(2, 3)".
func ShapeString(dims []int) string {
	s := make([]string, len(dims))
	for i, d := range dims {
		s[i] = fmt.Sprint(d)
	}
	return "(" + strings.Join(s, ", ") + ")"
}
