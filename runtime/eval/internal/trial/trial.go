// Package trial is a recipe of all the Go that recipes may use. A test compares
// what the compiler makes of it with what the interpreter does: whatever fails
// there must be refused by the lints of runtime/recipe, or be lowered away.
package trial

//lint:file-ignore SA4000,SA4011,SA4012 what nobody would write is tried here, too

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"

	"lightbox/stdlib/frame"
	"lightbox/stdlib/param"
)

func mapOf[T, U any](xs []T, f func(T) U) []U {
	var out []U
	for _, x := range xs {
		out = append(out, f(x))
	}
	return out
}
func mapOne[T any](xs []T, f func(T) T) []T {
	var out []T
	for _, x := range xs {
		out = append(out, f(x))
	}
	return out
}
func total[T int | float64](xs ...T) T {
	var t T
	for _, x := range xs {
		t += x
	}
	return t
}

type num interface{ ~int | ~float64 }

func biggest[T num](xs []T) T {
	m := xs[0]
	for _, x := range xs {
		if x > m {
			m = x
		}
	}
	return m
}

type pair[K comparable, V any] struct {
	Key K
	Val V
}

func mkPair[K comparable, V any](k K, v V) pair[K, V] { return pair[K, V]{k, v} }

var g2 = mapOf[int, string]([]int{1, 2}, func(i int) string { return fmt.Sprint(i) })
var g4 = mapOne([]int{1, 2}, func(i int) int { return i * 2 })
var g4s = mapOne([]string{"a"}, func(i string) string { return i + i })
var g4b = fmt.Sprint(mapOne([]string{"a"}, func(i string) string { return i + i }), mapOne([]int{1}, func(i int) int { return i + i }))
var g5 = total(1, 2, 3)
var g6 = total(1.5, 2)
var g7 = biggest([]float64{1, 3, 2})
var g8 = mkPair("a", 1).Val
var g9 = mkPair[string, float64]("a", 1).Val

type base struct{ N int }

func (b base) Twice() int { return 2 * b.N }
func (b *base) Inc()      { b.N++ }

type derived struct {
	base
	M int
}
type namer interface{ Name() string }
type greeter interface {
	namer
	Greet() string
}
type en struct{ who string }

func (e en) Name() string  { return e.who }
func (e en) Greet() string { return "hi " + e.who }

type holder struct{ namer }
type handler func(int) int

func (h handler) Do(i int) int { return h(i) + 1 }

var emb1 = derived{base{3}, 4}.Twice()
var emb2 = func() int { d := derived{base{3}, 4}; d.Inc(); return d.N + d.Twice() }()
var emb3 = func() string { var g greeter = en{"bo"}; return g.Greet() + g.Name() }()
var emb4 = holder{en{"al"}}.Name()
var emb5 = handler(func(i int) int { return i * 3 }).Do(2)
var greetAll = func() string {
	s := ""
	for _, g := range []greeter{en{"a"}, en{"b"}} {
		s += g.Greet()
	}
	return s
}()
var ov8 = func() int8 { x := int8(127); x++; return x }()
var ov32 = func() int32 { x := int32(math.MaxInt32); x += 2; return x }()
var ou32 = func() uint32 { x := uint32(0); x--; return x }()
var mul32 = func() uint32 {
	h := uint32(2166136261)
	for _, c := range []byte("abc") {
		h ^= uint32(c)
		h *= 16777619
	}
	return h
}()
var mul64 = func() uint64 {
	h := uint64(14695981039346656037)
	for _, c := range []byte("abc") {
		h ^= uint64(c)
		h *= 1099511628211
	}
	return h
}()
var f32sum = func() float32 {
	var s float32
	for i := 0; i < 100; i++ {
		s += 0.1
	}
	return s
}()
var f64sum = func() float64 {
	var s float64
	for i := 0; i < 100; i++ {
		s += 0.1
	}
	return s
}()
var f32mul = float32(0.1) * float32(0.3)
var inf = math.Inf(1)
var nan = math.IsNaN(math.NaN())
var pi = math.Pi * 2
var maxI = math.MaxInt64
var maxU = uint64(math.MaxUint64)
var sm = math.SmallestNonzeroFloat64
var dur = 3*time.Second + 5*time.Millisecond
var durS = dur.String()
var durF = time.Duration(1.5 * float64(time.Second)).Seconds()
var re = regexp.MustCompile(`(\d+) (mm|cm)`)
var reM = re.FindStringSubmatch("size 12 mm")
var reR = re.ReplaceAllString("a 3 cm b", "<$1>")
var reF = re.ReplaceAllStringFunc("a 3 cm b", func(s string) string { return strings.ToUpper(s) })
var atoi, atoiErr = strconv.Atoi("42")
var atoiBad = func() string { _, err := strconv.Atoi("x"); return err.Error() }()
var quote = strconv.Quote("a\n\"")
var uni = unicode.IsLetter('é') && unicode.Is(unicode.Latin, 'a')
var fields = strings.FieldsFunc("a,b;c", func(r rune) bool { return r == ',' || unicode.IsPunct(r) })
var repl = strings.NewReplacer("a", "b", "c", "d").Replace("abc")
var title = strings.ToTitle("ab cd")
var sortedS = func() []string { x := []string{"b", "a"}; sort.Strings(x); return x }()
var search = sort.SearchInts([]int{1, 3, 5}, 4)
var lenShadow = func() int { len := 3; return len }()
var nested = func() int {
	a := 1
	f := func() func() int { b := 2; return func() int { a += b; return a } }
	g := f()
	g()
	return g()
}()
var defaultS = func() string {
	switch x := 5; x {
	case 1, 2:
		return "a"
	case 3:
		return "b"
	default:
		return "c"
	}
}()
var switchStr = func() string {
	switch "b" {
	case "a":
		return "1"
	case "b", "c":
		return "2"
	}
	return "3"
}()
var switchNoBreak = func() int {
	n := 0
	for i := 0; i < 3; i++ {
		switch i {
		case 1:
			continue
		case 2:
			break
		}
		n += i + 1
	}
	return n
}()
var structRange = func() string {
	ps := []base{{1}, {2}}
	for _, p := range ps {
		p.N = 9
	}
	return fmt.Sprint(ps[0].N, ps[1].N)
}()
var arrRangeCopy = func() string {
	a := [3]int{1, 2, 3}
	s := ""
	for i, v := range a {
		a[2] = 10
		s += fmt.Sprint(i, v, " ")
	}
	return s
}()
var sliceGrow = func() string {
	a := []int{1, 2, 3}
	n := 0
	for range a {
		a = append(a, 1)
		n++
	}
	return fmt.Sprint(n, len(a))
}()
var mapNested = func() int {
	m := map[string]map[string]int{"a": {"b": 1}}
	m["a"]["c"] = 5
	return m["a"]["c"] + m["a"]["b"]
}()
var mapInc = func() int { m := map[string]int{}; m["x"]++; m["x"] += 3; return m["x"] }()
var mapSliceApp = func() int { m := map[string][]int{}; m["x"] = append(m["x"], 1, 2); return len(m["x"]) }()
var mapStructKey = func() string { type k struct{ a, b int }; m := map[k]string{{1, 2}: "v"}; return m[k{1, 2}] }()
var matrix = func() int { var m [2][3]int; m[1][2] = 5; n := m; n[1][2] = 6; return m[1][2]*10 + n[1][2] }()
var ptrSwap = func() string { a, b := 1, 2; p, q := &a, &b; *p, *q = *q, *p; return fmt.Sprint(a, b) }()
var ptrStruct = func() int { p := &base{1}; q := p; q.N = 5; return p.N }()
var newP = func() int { p := new(int); *p += 3; return *p }()
var strBytes = func() string { b := []byte("abc"); b[0] = 'x'; return string(b) }()
var strSlice = "hello"[1:3]
var cmpF = 0.1+0.2 == 0.3
var cmpFv = func() bool { a, b := 0.1, 0.2; return a+b == 0.3 }()
var intF = func() float64 { n := 7; return float64(n) / 2 }()
var truncN = func() int { f := -2.7; return int(f) }()
var constMix = func() float64 { const k = 3; return k / 2 * 1.0 }()
var constMix2 = func() float64 { x := 2.0; return 3 / x * 1 / 4 }()
var boolOps = func() bool { a, b := true, false; return a != b && !(a && b) }()
var strMul = strings.Repeat("ab", 3) + "c"
var complexLit = []struct {
	A int
	B []string
}{{1, []string{"x"}}, {2, nil}}
var complexLen = len(complexLit[0].B) + complexLit[1].A
var fnSlice = func() int {
	t := 0
	for _, f := range []func(int) int{func(i int) int { return i }, func(i int) int { return i * i }} {
		t += f(3)
	}
	return t
}()
var fnArg = func(f func(...int) int) int { return f(1, 2, 3) }(func(xs ...int) int { return len(xs) })

func retMulti() (int, string) { return 1, "a" }

var rm1, rm2 = retMulti()
var namedRes = func() (n int) {
	n = 3
	{
		n := 4
		_ = n
	}
	return
}()
var ifElse = func() string {
	if v, err := strconv.Atoi("7"); err != nil {
		return "e"
	} else if v > 5 {
		return "big"
	} else {
		return "small"
	}
}()
var opAssign = func() int {
	x := 7
	x <<= 2
	x |= 1
	x &^= 4
	x %= 20
	x ^= 3
	return x
}()
var runeArith = string('a' + rune(2))
var byteArith = func() string { b := byte('a'); b += 2; return string(b) }()
var runeLoop = func() int {
	n := 0
	for _, r := range "aébc" {
		if r > 127 {
			n++
		}
	}
	return n
}()
var printfs = fmt.Sprintf("%t %v %s %d %c %U %e %g %08.3f %+d %#x %T %T", true, nil, []byte("x"), []int{1}, 'x', 'x', 1.5, 1e21, 3.14159, 5, 255, 1.0, []string{})
var sscan = func() int { var n int; fmt.Sscanf("12 mm", "%d", &n); return n }()
var builderM = func() string { b := &strings.Builder{}; b.WriteString("x"); b.WriteByte('y'); return b.String() }()
var cutS = func() string { a, b, ok := strings.Cut("k=v", "="); return fmt.Sprint(a, b, ok) }()
var errorsNew = errors.New("e1").Error()
var isErr = func() bool { e := errors.New("z"); return errors.Is(fmt.Errorf("w: %w", e), e) }()
var nilMapRange = func() int {
	n := 0
	var m map[string]int
	for range m {
		n++
	}
	return n
}()
var capMake = func() string { s := make([]int, 2, 5); return fmt.Sprint(len(s), cap(s)) }()
var full = func() string { s := []int{1, 2, 3}; s = append(s[:1], s[2:]...); return fmt.Sprint(s) }()
var deepEq = func() bool { a := [2]base{{1}, {2}}; b := [2]base{{1}, {2}}; return a == b }()
var constTyped = func() time.Duration { const d = 2 * time.Second; return d }()
var octal = 0o17 + 0b11 + 0x1F + 1_000
var rawStr = `a\n` + "\t\u00e9"
var multiRet3 = func() string {
	f := func() (a, b int, c string) { return 1, 2, "z" }
	a, _, c := f()
	return fmt.Sprint(a, c)
}()
var whileLoop = func() int {
	n := 100
	for n > 10 {
		n /= 2
	}
	return n
}()
var infBreak = func() int {
	n := 0
	for {
		n++
		if n > 5 {
			break
		}
	}
	return n
}()
var scopeX = func() string {
	s := ""
	x := "o"
	for i := 0; i < 2; i++ {
		x := x + "i"
		s += x
	}
	return s + x
}()
var varDecl = func() int { var a, b int = 1, 2; var c = a + b; var d float64; return c + int(d) }()
var closureArg = func() string {
	s := ""
	each := func(xs []string, f func(int, string)) {
		for i, x := range xs {
			f(i, x)
		}
	}
	each([]string{"a", "b"}, func(i int, x string) { s += fmt.Sprint(i, x) })
	return s
}()
var addrComposite = func() int { ps := []*base{{1}, {2}}; return ps[0].N + ps[1].N }()
var anonEmbed = func() int {
	d := struct {
		base
		Z int
	}{base{2}, 3}
	return d.Twice() + d.Z
}()
var shiftVar = func() int { n := uint(3); return 1<<n + 1<<4 }()
var shiftF = func() float64 { n := 3; return float64(int(1) << n) }()
var cmpChain = func() int {
	a := []int{3, 1, 2}
	sort.Slice(a, func(i, j int) bool { return a[i] > a[j] })
	return a[0]*100 + a[1]*10 + a[2]
}()
var stableS = func() string {
	a := []string{"bb", "a", "cc", "d"}
	sort.SliceStable(a, func(i, j int) bool { return len(a[i]) < len(a[j]) })
	return fmt.Sprint(a)
}()
var lastAppend = func() string {
	var out [][]string
	row := []string{}
	for i := 0; i < 4; i++ {
		row = append(row, strconv.Itoa(i))
		if len(row) == 2 {
			out = append(out, row)
			row = nil
		}
	}
	return fmt.Sprint(out)
}()
var fieldFn = func() int {
	type op struct {
		name string
		f    func(a, b int) int
	}
	for _, o := range []op{{"add", func(a, b int) int { return a + b }}} {
		return o.f(2, 3)
	}
	return 0
}()
var typeDef = func() string { type celsius float64; c := celsius(3.5); return fmt.Sprintf("%.1f", float64(c)) }()
var mapPtr = func() int { m := map[string]*base{}; m["a"] = &base{1}; m["a"].N += 4; return m["a"].N }()
var loopVarReuse = func() string {
	s := ""
	i := 10
	for i := 0; i < 2; i++ {
		s += fmt.Sprint(i)
	}
	return s + fmt.Sprint(i)
}()
var strCompare = strings.Compare("a", "b") + len("é")
var unaryNeg = func() int { x := 5; return -x + +x - -x }()
var assertStr = func() string {
	var v any = "s"
	if s, ok := v.(string); ok {
		return s
	}
	return ""
}()
var assertNum = func() int { var v any = 3; return v.(int) + 1 }()
var anySlice = fmt.Sprint([]any{1, "a", nil, 2.5}...)
var anyMap = map[string]any{"a": 1, "b": "x"}
var emptyIface = func() bool { var e error; return e == nil }()
var iifeMap = map[string]float64{"x": func() float64 { return 2 }()}

// loops
var copyInBody = func() string {
	var fs []func() int
	for i := 0; i < 3; i++ {
		i := i
		fs = append(fs, func() int { return i })
	}
	s := ""
	for _, f := range fs {
		s += fmt.Sprint(f())
	}
	return s
}()
var bodyLocal = func() string {
	var fs []func() int
	for i := range 3 {
		j := i * 2
		fs = append(fs, func() int { return j })
	}
	s := ""
	for _, f := range fs {
		s += fmt.Sprint(f())
	}
	return s
}()
var ptrLocal = func() string {
	var ps []*int
	for i := 0; i < 3; i++ {
		j := i
		ps = append(ps, &j)
	}
	s := ""
	for _, f := range ps {
		s += fmt.Sprint(*f)
	}
	return s
}()
var rangeInts = func() string {
	s := ""
	for range 2 {
		s += "x"
	}
	n := int8(3)
	for i := range n {
		s += fmt.Sprintf("%T%d", i, i)
	}
	for i := range len(s) / 8 {
		n++
		s += strconv.Itoa(i)
	}
	for i := range []int{7, 8} {
		s += strconv.Itoa(i)
	}
	for i, r := range "aé" {
		s += fmt.Sprint(i, r)
	}
	return s
}()

type point struct {
	X, Y int
	tag  string
}

func (p point) String() string { return fmt.Sprintf("(%d,%d)", p.X, p.Y) }
func (p *point) Move(d int)    { p.X += d }
func (p point) Add(q point) point {
	return point{X: p.X + q.X, Y: p.Y + q.Y}
}

var p1 = point{X: 1, Y: 2}
var p2 = p1.Add(point{3, 4, "t"}).String()
var moved = func() int { q := p1; q.Move(5); return q.X*100 + p1.X }()
var methodValue = func() string { f := p1.String; return f() }()
var mapped = strings.Map(func(r rune) rune { return r + 1 }, "abc")

type byY []point

func (b byY) Len() int           { return len(b) }
func (b byY) Less(i, j int) bool { return b[i].Y < b[j].Y }
func (b byY) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }

var sorted = func() string {
	ps := []point{{1, 9, ""}, {2, 3, ""}, {3, 5, ""}}
	sort.Sort(byY(ps))
	return fmt.Sprint(ps[0].X, ps[1].X, ps[2].X)
}()

type shape interface{ Area() float64 }
type square struct{ s float64 }
type circle struct{ r float64 }

func (s square) Area() float64 { return s.s * s.s }
func (c circle) Area() float64 { return 3 * c.r * c.r }

var areas = func() float64 {
	t := 0.0
	for _, s := range []shape{square{2}, circle{1}} {
		t += s.Area()
	}
	return t
}()

const (
	A = iota
	B
	C
)

type color int

const (
	Red color = iota + 1
	Green
)

func (c color) String() string { return [...]string{"?", "red", "green"}[c] }

var iotas = fmt.Sprint(A, B, C, int(Red), int(Green))
var colorText = Green.String()
var switchThrough = func() string {
	switch x := 3; {
	case x < 2:
		return "lt"
	case x == 3:
		fallthrough
	case x == 9:
		return "ft"
	default:
		return "d"
	}
}()
var labelled = func() int {
	n := 0
outer:
	for i := range 5 {
		for j := range 5 {
			if j == 3 {
				continue outer
			}
			if i == 3 {
				break outer
			}
			n++
		}
	}
	return n
}()

func variadic(xs ...int) int { return len(xs) }

var va = variadic(1, 2, 3) + variadic([]int{1, 2}...)

func named() (a int, err error) {
	a = 5
	return
}

var na, nerr = named()

type box[T any] struct{ v T }

func (g box[T]) Get() T { return g.v }

var g1 = box[int]{4}.Get()
var viaStringer = func() string { var s fmt.Stringer = p1; return s.String() }()
var stringers = fmt.Sprint([]string{p1.String()})
var joined = errors.Join(errors.New("a"), errors.New("b")).Error()
var evalOrder = func() string {
	s := ""
	f := func(n int) int { s += fmt.Sprint(n); return n }
	_ = f(1) + f(2)*f(3)
	return s
}()
var shortCircuit = func() string {
	s := ""
	f := func(b bool) bool { s += "f"; return b }
	_ = f(false) && f(true)
	_ = f(true) || f(true)
	return s
}()
var late = early() + 1

func early() int { return later * 10 }

var later = 4
var inferred = fmt.Sprint(mapOf([]int{1, 2}, func(i int) string { return fmt.Sprint(i) }), mapOf([]string{"a", "bb"}, func(s string) int { return len(s) }))
var constants = fmt.Sprint(math.Pi, math.E, math.MaxInt8, math.MinInt64, math.MaxFloat32, unicode.MaxRune, time.Minute, math.SqrtPi, math.MaxFloat64)

var minMax = fmt.Sprint(min(3, len("ab")), max(1.5, ratio), min("b", mapped), max(1, 2, 3), min(time.Second, dur), math.IsNaN(max(1, math.NaN()*ratio)))

const biggest3 = max(2, 3)

var nestedMin = max(min(later, 3), min(biggest3, early()))
var rangeMap = func() string {
	s := ""
	counts := map[string]int{"b": 2, "a": 1, "c": 3}
	for k, v := range counts {
		s += fmt.Sprint(k, v)
		if v > 5 {
			continue
		}
	}
	for k := range map[int]bool{3: true} {
		s += fmt.Sprint(k)
	}
	n := 0.0
	for _, v := range map[time.Duration]float64{time.Second: 1.5, time.Minute: 2} {
		n += v
	}
	for w, ps := range map[string][]point{"w": {{1, 2, ""}}} {
		s += w + fmt.Sprint(len(ps), ps[0].Y)
	}
	return s[len(s)-3:] + fmt.Sprint(len(s), n)
}()

var count = param.Int("count", 3, "how many")
var ratio = param.Float("ratio", -0.5, "a share")
var root = param.Dir("root", "a/b", "somewhere")
var labels = frame.Labels{}
var frames = []frame.Frame{}
