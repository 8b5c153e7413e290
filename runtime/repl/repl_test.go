package repl

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/session"
)

// talk gives the lines to a REPL in a pipe and returns what it says.
func talk(t *testing.T, recipe string, lines ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Run(context.Background(), Options{
		Session: session.Options{Recipe: recipe, Store: filepath.Join(t.TempDir(), "store"), Progress: &out},
		In:      strings.NewReader(strings.Join(lines, "\n") + "\n"),
		Out:     &out,
	})
	return out.String(), err
}

// expect compares what is said with want, and that nothing failed.
func expect(t *testing.T, got string, err error, want string) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestExpressions(t *testing.T) {
	got, err := talk(t, "",
		`1 + 2`,
		`strings.Repeat("ab", _1)`,
		`x := len(_2)`,
		`func twice(n int) int {`,
		`	return 2 * n`,
		`}`,
		`twice(x)`,
		`x = 10`,
		`_5 + 1`,
		`[]string{"a",`,
		`  "b"}`,
		`x`,
		`:type twice`,
		`:type strings.Fields("a b")`,
		`:undo`,
		`:vars`,
		`:quit`,
		`never reached`)
	expect(t, got, err, `_1 int = 3
_2 string = "ababab"
x int = 6
_5 int = 12
x int = 10
_7 int = 21
_8
[a b]
x int = 10
func twice(n int) int
[]string
forgot []string{"a",
_1  int
_2  string
_5  int
x   int
_7  int
`)
	if err != nil {
		t.Error(err)
	}
}

// TestErrors: the same checks and words as in a file, at the place that was
// typed; and a refused input changes nothing.
func TestErrors(t *testing.T) {
	got, err := talk(t, "",
		`strings.Reepat("ab", 2)`,
		`x := strings.ToUpper(3)`,
		`var a = `,
		`)`,
		`1 +`,
		``,
		`func f() { defer f() }`,
		`n := -1`,
		`strings.Repeat("x", n)`,
		`os.Exit(1)`,
		`import "os/exec"`,
		`:nonsense`,
		`:rnu x`,
		`n = nn`,
		`y := func(a int) int { return a + nnn }(1)`,
		`n`)
	expect(t, got, err, `[1]:1:9: package strings has no Reepat; did you mean Repeat
    1 | strings.Reepat("ab", 2)
      |         ^^^^^^
[1]:1:22: var x: cannot use 3 (untyped int constant) as string value in argument to strings.ToUpper
    1 | x := strings.ToUpper(3)
      |                      ^
[1]:2:1: syntax: expected operand, found ')'
    2 | )
      | ^
[1]:1:4: syntax: expected operand, found 'EOF'
    1 | 1 +
      |    ^
[1]:1:6: func f calls itself (f calls f), and recursion is not possible in a recipe; write it as a loop
    1 | func f() { defer f() }
      |      ^
[1]:1:12: defer is not possible in a recipe: the interpreter evaluates its arguments too late; call it where its effect is wanted
    1 | func f() { defer f() }
      |            ^^^^^
n int = -1
[2]:1:1: strings: negative Repeat count
    1 | strings.Repeat("x", n)
      | ^^^^^^^^^^^^^^^^^^^^^^
[2]:1:1: undefined: os, which is neither a var nor a package that recipes can import
    1 | os.Exit(1)
      | ^^
packages are imported when they are named: write strings.ToUpper("a")
no command :nonsense; there are :help, :type, :vars, :plan, :run, :undo, :inputs, :reload, :quit
no command :rnu; did you mean :run
[2]:1:5: var n: undefined: nn; did you mean n
    1 | n = nn
      |     ^^
[2]:1:35: var y: undefined: nnn
    1 | y := func(a int) int { return a + nnn }(1)
      |                                   ^^^
n int = -1
`)
	if !errors.Is(err, ErrFailed) {
		t.Errorf("piped errors end with %v, want ErrFailed", err)
	}
}

const small = `// Small.
//
//	title: A small recipe
package small

import "lightbox/stdlib/param"

// %% First

var n = param.Int("n", 3, "how many")
var Twice = 2 * n
`

func file(t *testing.T, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "small.go")
	if err := os.WriteFile(p, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRecipe(t *testing.T) {
	p := file(t, small)
	var out bytes.Buffer
	// The file changes between two inputs: a reader that rewrites it.
	in := &script{t: t, steps: []func() string{
		func() string { return "Twice" },
		func() string { return "More := Twice + n" },
		func() string { return "n = 4" },
		func() string {
			if err := os.WriteFile(p, []byte(strings.Replace(small, "2 * n", "100 * n", 1)), 0o666); err != nil {
				t.Fatal(err)
			}
			return ":reload"
		},
		func() string { return "More" },
		func() string {
			if err := os.WriteFile(p, []byte(strings.Replace(small, "2 * n", "2 * m", 1)), 0o666); err != nil {
				t.Fatal(err)
			}
			return ":reload"
		},
		func() string { return "More" },
		func() string { return ":inputs" },
	}}
	err := Run(context.Background(), Options{
		Session: session.Options{Recipe: p, Store: filepath.Join(t.TempDir(), "store"), Set: map[string]string{"n": "5"}},
		In:      in, Out: &out,
	})
	want := `Twice int = 10
More int = 15
n is bound in ` + p + `:10:5, and a recipe's var is bound once: use another name, or change the file and :reload
` + p + `: 2 vars
More int = 505
` + p + `:11:17: var Twice: undefined: m
   11 | var Twice = 2 * m
      |                 ^
the session stays as it was
More int = 505

// %%

var More = Twice + n
`
	expect(t, out.String(), err, want)
}

// script is a reader whose lines are made when they are asked for.
type script struct {
	t     *testing.T
	steps []func() string
	rest  string
}

func (s *script) Read(b []byte) (int, error) {
	if s.rest == "" {
		if len(s.steps) == 0 {
			return 0, io.EOF
		}
		s.rest = s.steps[0]() + "\n"
		s.steps = s.steps[1:]
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func TestComplete(t *testing.T) {
	for text, want := range map[string]bool{
		"1 + 2": true, "f(1,": false, "f(1)": true, "var x = [](": false, "1 +": false, "x.": false, "`raw": false, "`raw`": true,
		":plan (": true, "func f() {": false, "func f() {\n}": true, `"("`: true, "": true, "/* open": false, "x++": true, ")": true,
	} {
		if got := complete(text); got != want {
			t.Errorf("complete(%q) = %v", text, got)
		}
	}
}

func TestCandidates(t *testing.T) {
	r, err := open(context.Background(), Options{Out: &bytes.Buffer{}, Session: session.Options{Recipe: file(t, small), Store: t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		":pl":                             ":plan",
		"Tw":                              "Twice",
		"1 + tw":                          "Twice",
		"strings.Repl":                    "strings.Replace strings.ReplaceAll strings.Replacer",
		"time.Mi":                         "time.Microsecond time.Millisecond time.Minute",
		"param.":                          "param.Bool param.Dir param.Float param.Int param.Path param.String",
		`strings.NewReplacer("a", "b").`:  `strings.NewReplacer("a", "b").Replace`,
		"nothing.":                        "",
		":type strings.TrimSp":            "strings.TrimSpace",
		"time.Second.Tr":                  "time.Second.Truncate",
		"len(strings.NewReader(\"x\").Si": "strings.NewReader(\"x\").Size",
	} {
		var got []string
		cs, _ := r.candidates(line, len(line))
		for _, c := range cs {
			got = append(got, c.text)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("candidates of %q are %q, want %q", line, s, want)
		}
	}
}

func TestHelp(t *testing.T) {
	got, err := talk(t, "", ":help param.Int", ":help time", ":help strings.Builder.Len", ":help strings.Repeet", ":help", ":help time.Now")
	if !errors.Is(err, ErrFailed) {
		t.Errorf("got %v", err)
	}
	for _, want := range []string{
		"func param.Int(name string, value int, doc string) int",
		"Int is the whole number given for name, or value.",
		"package time (time)",
		"func (*strings.Builder).Len() int",
		"Len returns the number of accumulated bytes",
		"no help on strings.Repeet; did you mean strings.Repeat",
		":plan [VAR...]",
		"no help on time.Now",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %q in\n%s", want, got)
		}
	}
}
