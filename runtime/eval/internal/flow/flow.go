// Package flow is a recipe of conditions, loops and values in motion: see
// package trial, which holds the rest of the language.
package flow

//lint:file-ignore SA4000,SA4011,SA4012 what nobody would write is tried here, too

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

type rec struct {
	Ok bool
	N  int
	S  string
	F  func(int) bool
}

func yes() bool             { return true }
func no() bool              { return false }
func and(a, b bool) bool    { return a && b }
func mix(a, b, c bool) bool { return a && b || c && !a || (b != c) }
func pick(c bool, a, b string) string {
	if c {
		return a
	}
	return b
}
func two() (int, bool) { return 4, true }
func three(a int) (x, y int, err error) {
	if a < 0 {
		err = errors.New("neg")
		return
	}
	x, y = a, a*2
	return
}

var b1 = func() string {
	s := ""
	for _, a := range []bool{true, false} {
		for _, b := range []bool{true, false} {
			for _, c := range []bool{true, false} {
				s += strconv.FormatBool(mix(a, b, c))[:1]
			}
		}
	}
	return s
}()
var b2 = rec{Ok: yes() && !no(), N: 1}.Ok
var b3 = map[string]bool{"a": yes() && no(), "b": yes() || no()}
var b4 = []bool{1 < 2 && 2 < 3, 1 > 2 || no(), !(yes() && yes())}
var b5 = and(1 < 2 || no(), yes() && yes())
var b6 = func() bool { x := 3; return x > 1 && x < 5 && x != 4 }()
var b7 = func() string { x := 3; ok := x > 1 && x < 3; return fmt.Sprint(ok, x > 2 || ok, !ok) }()
var b8 = func() int {
	n := 0
	for i := 0; i < 10 && n < 5; i++ {
		if i%2 == 0 || i%3 == 0 {
			n++
		}
	}
	return n
}()
var b9 = func() int {
	n := 0
	for i, j := 0, 10; i < j || n == 0; i, j = i+1, j-1 {
		n++
	}
	return n
}()
var b10 = pick(strings.Contains("abc", "b") && !strings.HasPrefix("abc", "b"), "y", "n")
var b11 = func() string {
	if v, ok := two(); ok && v > 3 {
		return "big"
	} else if ok || v == 0 {
		return "ok"
	}
	return "no"
}()
var b12 = func() string {
	if v, ok := map[string]int{"a": 1}["a"]; !ok || v != 1 {
		return "bad"
	}
	return "good"
}()
var b13 = func() bool { r := rec{F: func(i int) bool { return i > 2 && i < 5 }}; return r.F(3) && !r.F(6) }()
var b14 = func() string {
	s := ""
	x := 5
	if x > 3 {
		if x > 4 {
			s += "a"
		} else {
			s += "b"
		}
	} else {
		s += "c"
	}
	if !(x < 3) {
		s += "d"
	}
	return s
}()
var b15 = func() bool { var p *rec; return p != nil && p.Ok }()
var b16 = func() bool { var p *rec; return p == nil || p.Ok }()
var b17 = func() bool { xs := []int{}; return len(xs) > 0 && xs[0] == 1 }()
var b18 = func() string {
	r := rec{}
	r.Ok = 1 < 2 && yes()
	m := map[string]bool{}
	m["x"] = r.Ok && !no()
	a := [2]bool{}
	a[1] = m["x"] || no()
	return fmt.Sprint(r.Ok, m["x"], a)
}()
var b19 = func() bool {
	ok := true
	for _, c := range "abc" {
		ok = ok && c >= 'a' && c <= 'z'
	}
	return ok
}()

func b20() (bool, bool) { return yes() && no(), yes() || no() }

var b21, b22 = b20()
var b23 = func() string {
	g := func(bs ...bool) string { return fmt.Sprint(bs) }
	return g(yes() && no(), yes() || no(), !yes())
}()
var b24 = func() string {
	x := 4
	switch {
	case x > 3 && x < 5:
		return "in"
	default:
		return "out"
	}
}()
var b25 = func() string {
	x := 4
	switch y := x > 3 || no(); {
	case y && x == 4:
		return "1"
	case !y:
		return "2"
	}
	return "3"
}()
var e1 = func() string {
	s := ""
	for _, a := range []int{1, -1} {
		x, y, err := three(a)
		if err != nil {
			s += err.Error()
			continue
		}
		s += fmt.Sprint(x, y)
	}
	return s
}()
var e2 = func() string {
	var err error
	for i := 0; i < 3; i++ {
		if _, err = strconv.Atoi("x" + strconv.Itoa(i)); err != nil {
			break
		}
	}
	return err.Error()
}()
var e3 = func() string {
	x, err := strconv.Atoi("5")
	if err == nil {
		y, err := strconv.Atoi("z")
		_ = y
		if err != nil {
			return "inner" + strconv.Itoa(x)
		}
	}
	return "outer"
}()
var l1 = func() string {
	s := ""
	for i := range 3 {
		for j := range 3 {
			if j == 1 {
				break
			}
			s += fmt.Sprint(i, j, ",")
		}
	}
	return s
}()
var l2 = func() string {
	s := ""
	i := 0
	for {
		i++
		if i == 2 {
			continue
		}
		if i > 4 {
			break
		}
		s += strconv.Itoa(i)
	}
	return s
}()
var l3 = func() string {
	s := ""
	for i := 3; i >= 0; i-- {
		s += strconv.Itoa(i)
	}
	for i := 0; i < 10; i += 4 {
		s += strconv.Itoa(i)
	}
	return s
}()
var l4 = func() string {
	s := ""
	xs := []string{"a", "b", "c"}
	for i := len(xs) - 1; i >= 0; i-- {
		s += xs[i]
	}
	for i := range xs {
		if i > 0 {
			s += ","
		}
		s += xs[i]
	}
	return s
}()
var l5 = func() int {
	n := 0
	for _, row := range [][]int{{1, 2}, {3}} {
		for _, v := range row {
			n = n*10 + v
		}
	}
	return n
}()
var l6 = func() string {
	s := ""
	for i, r := range "a\u00e9z" {
		if i == 1 {
			continue
		}
		s += fmt.Sprintf("%d%c", i, r)
	}
	return s
}()
var l7 = func() int {
	i := 0
	for i < 100 {
		i += 7
		if i%5 == 0 {
			return i
		}
	}
	return -1
}()
var l8 = func() string {
	s := ""
	for _, x := range append([]int{1}, 2, 3) {
		s += strconv.Itoa(x)
	}
	return s
}()
var l9 = func() string {
	s := ""
	xs := []int{1, 2, 3}
	for i, x := range xs {
		if i == 0 {
			xs = append(xs, 9)
			xs[1] = 7
		}
		s += strconv.Itoa(x)
	}
	return s
}()
var l10 = func() string {
	s := ""
	for x := range 3 {
		switch x {
		case 1:
			break
		default:
			s += "x"
		}
		s += strconv.Itoa(x)
	}
	return s
}()
var m1 = func() string {
	type acc struct {
		n  int
		by map[string]int
	}
	a := acc{by: map[string]int{}}
	upd := func(a *acc, k string) { a.n++; a.by[k]++ }
	upd(&a, "x")
	upd(&a, "x")
	return fmt.Sprint(a.n, a.by["x"])
}()
var m2 = func() string {
	grid := [3][3]rune{}
	for i := range grid {
		for j := range grid[i] {
			grid[i][j] = '.'
		}
	}
	grid[1][2] = 'x'
	s := ""
	for _, r := range grid {
		s += string(r[:]) + "|"
	}
	return s
}()
var m3 = func() string {
	a, b, c := 1, 2, 3
	a, b, c = c, a, b
	xs := []int{0, 0}
	i := 0
	i, xs[i] = 1, 5
	return fmt.Sprint(a, b, c, i, xs)
}()
var m4 = func() string { x := []int{1, 2, 3}; x[0], x[1] = x[1], x[0]+10; return fmt.Sprint(x) }()
var m5 = func() string { s := "abc"; t := s; s += "d"; return s + t }()
var m6 = func() string {
	p := &rec{N: 1}
	q := *p
	p.N = 2
	r := p
	r.S = "z"
	return fmt.Sprint(q.N, p.N, p.S)
}()
var m7 = func() string {
	ps := []*rec{}
	for i := 0; i < 3; i++ {
		ps = append(ps, &rec{N: i})
	}
	s := ""
	for _, p := range ps {
		p.N *= 2
		s += strconv.Itoa(p.N)
	}
	return s
}()
var m8 = func() string {
	var arr [4]int
	sl := arr[1:3]
	sl[0] = 7
	sl = append(sl, 8)
	return fmt.Sprint(arr, sl)
}()
var m9 = func() string {
	f := func() []int { return []int{1, 2} }
	f()[0] = 5
	return fmt.Sprint(f()[0], len(f()), f()[1:])
}()
var m10 = func() string {
	type node struct {
		v    int
		next *node
	}
	var head *node
	for i := range 3 {
		head = &node{i, head}
	}
	s := ""
	for n := head; n != nil; n = n.next {
		s += strconv.Itoa(n.v)
	}
	return s
}()
var m11 = func() string {
	m := map[string]func() string{"a": func() string { return "A" }}
	if g, ok := m["a"]; ok {
		return g()
	}
	return ""
}()
var m12 = func() string {
	xs := []string{"b", "a"}
	ys := make([]string, len(xs))
	copy(ys, xs)
	ys[0] = "z"
	return fmt.Sprint(xs, ys)
}()
var m13 = func() string {
	const n = 3
	var a [n]int
	for i := range a {
		a[i] = i * n
	}
	return fmt.Sprint(a, len(a))
}()
var m14 = func() string {
	x := struct{ A, B int }{1, 2}
	y := x
	y.A = 5
	z := &x
	z.B = 7
	return fmt.Sprint(x.A, x.B, y.A, y.B, x == y)
}()
var m15 = func() string {
	var i interface{} = 5
	n, ok := i.(int)
	s, ok2 := i.(string)
	return fmt.Sprint(n, ok, s == "", ok2)
}()
var m16 = func() string {
	b := []byte("hi")
	s := string(b)
	b[0] = 'H'
	return s + string(b) + strings.ToUpper(string(b[1:]))
}()
var m17 = func() string {
	return fmt.Sprint(len([]rune("日本")), "日本"[0], []byte("é"), string([]rune{26085}))
}()
var m18 = func() string { a := 10; a, b := 20, a; return fmt.Sprint(a, b) }()
var m19 = func() float64 {
	avg := func(xs ...float64) float64 {
		s := 0.0
		for _, x := range xs {
			s += x
		}
		return s / float64(len(xs))
	}
	return avg([]float64{1, 2, 4}...)
}()
var m20 = func() string {
	x := 10
	inc := func() int { x++; return x }
	return fmt.Sprint(x, inc(), x, inc()+inc()*2)
}()
var m21 = func() string {
	var sb strings.Builder
	defer1 := func(s string) { sb.WriteString(s) }
	for _, w := range strings.Fields("a b c") {
		defer1(w)
	}
	return sb.String()
}()
var m22 = fmt.Sprintf("%v|%+v|%d|%s|%q|%t|%5.2f|%-4s|%04d|%x", []int{1}, map[string]int{"b": 1, "a": 2}, []int{1, 2}, []string{"a"}, []string{"b"}, true, 3.14159, "ab", 42, "hi")
var m23 = func() string {
	if s := strings.TrimSpace(" x "); len(s) == 1 && s[0] == 'x' {
		return "ok"
	}
	return "no"
}()
var m24 = func() int {
	total := 0
	sum := func(xs []int) {
		for _, x := range xs {
			total += x
		}
	}
	sum([]int{1, 2})
	sum([]int{3})
	return total
}()
var m25 = func() string { s := []int{5, 6, 7}; i := 1; s[i], i = 0, 2; return fmt.Sprint(s, i) }()
var m26 = func() string {
	x := 1
	y := x
	x = 2
	z := [2]int{x, y}
	x = 3
	return fmt.Sprint(z, x)
}()
var m27 = func() string {
	f := func(n int) func() int { return func() int { n--; return n } }
	a, b := f(5), f(9)
	return fmt.Sprint(a(), a(), b(), a())
}()
var m28 = func() uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < 5; i++ {
		h = (h ^ uint64(i)) * 1099511628211
		h ^= h >> 13
	}
	return h
}()
var m29 = func() string { a := -7; return fmt.Sprint(a>>1, uint8(a), a/2, a%4, -a, ^a, +a) }()
var m30 = func() string {
	var x float32 = 0.1
	var y float64 = float64(x)
	z := x * x
	return fmt.Sprint(y, z, float64(z), x+0.2, int(x*100))
}()

// Several conditions in one case, of which the interpreter sees one: joined by ||.

func grade(x float64) string {
	switch {
	case x > 0.9:
		return "A"
	case x > 0.5, x == 0.1, // a comment, with a comma
		x == 0.2:
		return "B"
	}
	return "C"
}

func tagged(x int) string {
	switch x {
	case 1, 2, 3:
		return "low"
	case 4:
		return "four"
	case 5, 6:
		return "high"
	}
	return "?"
}

func concatenated(a, b string) string {
	switch a + b {
	case "ab", "ba":
		return "1"
	case b + a, "q":
		return "2"
	default:
		return "3"
	}
}

func initSwitch(a int) string {
	switch b := a * 2; {
	case b > 10, b < 0:
		return "far"
	default:
		return "near"
	}
}

func defaultFirst(a int) string {
	switch {
	default:
		return "d"
	case a == 1, max(a, 1) == 2:
		return "12"
	}
}

var g1 = grade(0.95) + grade(0.6) + grade(0.1) + grade(0.2) + grade(0)
var g2 = tagged(1) + tagged(2) + tagged(3) + tagged(4) + tagged(5) + tagged(6) + tagged(7)
var g4 = concatenated("a", "b") + concatenated("b", "a") + concatenated("", "q") + concatenated("x", "y") + concatenated("x", "")
var g5 = initSwitch(6) + initSwitch(-1) + initSwitch(2)
var g6 = defaultFirst(1) + defaultFirst(2) + defaultFirst(3)
var g7 = func() string {
	s := ""
	for i := 0; i < 5; i++ {
		switch {
		case i == 0, i == 4:
			s += "e"
			fallthrough
		case i == 2:
			s += "m"
		case i == 3:
			break
		default:
			s += "d"
		}
	}
	return s
}()
