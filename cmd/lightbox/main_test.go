package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recipeText is a recipe without steps: what it shows is computed when it is
// evaluated.
const recipeText = `// Sums: adds up.
//
//	title: A sum
package sums

import (
	"fmt"

	"lightbox/stdlib/param"
)

// %% Sum

var a = param.Int("a", 40, "the first number")

var Sum = fmt.Sprint("the sum is ", a+2)
`

func write(t *testing.T, text string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sums")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "sums.go")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func lightbox(args ...string) (code int, stdout, stderr string) {
	var o, e bytes.Buffer
	code = run(context.Background(), args, &o, &e)
	return code, o.String(), e.String()
}

func TestUsage(t *testing.T) {
	file := write(t, recipeText)
	for _, c := range []struct {
		args []string
		code int
		want string // on either stream
	}{
		{[]string{"version"}, 0, "lightbox 0."},
		{[]string{}, 0, "lightbox run quickstart"},
		{[]string{"-h"}, 0, "Available Commands"},
		{[]string{"chek", "x"}, 2, "unknown command chek; did you mean check\ntry: lightbox -h"},
		{[]string{"run"}, 2, "lightbox run takes one recipe, got 0 arguments\ntry: lightbox run -h"},
		{[]string{"run", file, "--nonsense"}, 2, "unknown flag: --nonsense"},
		{[]string{"run", file, "--set", "a"}, 2, "--set a: want name=value"},
		{[]string{"run", file, "--set", "b=1"}, 1, "the recipe has no parameter b"},
		{[]string{"run", file, "--set", "a=x"}, 1, `got "x"`},
		{[]string{"run", file, "--only", "Summ"}, 1, "no variable Summ; did you mean Sum"},
		{[]string{"run", file, "--device", "cuda"}, 1, "device cuda: this build computes on the CPU only"},
		{[]string{"run", file, "--threads", "-1"}, 1, "threads must not be negative"},
		{[]string{"run", "/nowhere/x.go"}, 1, "/nowhere/x.go: no such recipe"},
		{[]string{"run", file, "-h"}, 0, "--set a=40  the first number (int)"},
		{[]string{"run", "quickstart", "-h"}, 0, "Recipe quickstart: "},
		{[]string{"run", "quickstrat"}, 1, "did you mean the built-in recipe quickstart"},
		{[]string{"gc"}, 2, "name the recipes to keep"},
		{[]string{"show", file, "Sum", "--format", "pdf"}, 2, `unknown format "pdf"`},
		{[]string{"show", file, "Sum", "--format", "csv"}, 1, "Sum has no table to write as CSV"},
		{[]string{"show", file, "Sum"}, 0, "the sum is 42"},
		{[]string{"show", file, "Sum", "--format", "md", "--set", "a=1"}, 0, "the sum is 3"},
		{[]string{"plan", file}, 0, "nothing to run"},
		{[]string{"check", file}, 0, "sums.go: no errors in 2 variables"},
		{[]string{"verify", file, "--store", filepath.Join(filepath.Dir(file), "s")}, 1, "sums.lock.yaml is not there"},
		{[]string{"doctor", file}, 0, "instructions "},
		{[]string{"export", file}, 2, "--to is missing; want html, md, tex or ipynb\ntry: lightbox export -h"},
		{[]string{"export", file, "--to", "htlm"}, 2, `unknown format "htlm"; want html, md, tex or ipynb; did you mean html`},
		{[]string{"export", "quickstrat", "--to", "md"}, 1, "did you mean the built-in recipe quickstart"},
		{[]string{"export", "quickstart", "--to", "html", "--store", t.TempDir()}, 1, "nothing of "},
		{[]string{"export", file, "--to", "html", "--out", "/nowhere/a.html"}, 1, "cannot write /nowhere/a.html: there is no directory /nowhere"},
		{[]string{"export", file, "--to", "html", "--out", "-"}, 0, "the sum is 42"},
		{[]string{"export", file, "--to", "ipynb", "--set", "a=1", "--out", "-"}, 0, "the sum is 3"},
		{[]string{"export", "--to", "html", file, "-h"}, 0, "--set a=40  the first number (int)"},
		{[]string{"diff"}, 2, "lightbox diff takes one or two recipes or lock files, got 0 arguments"},
		{[]string{"diff", file}, 1, "sums.lock.yaml is not there"},
		{[]string{"diff", file, "--set", "a=7"}, 0, "--set a"},
		{[]string{"diff", file, file}, 0, "Nothing differs."},
		{[]string{"diff", file, "x.lock.yaml"}, 1, "x.lock.yaml: no such lock file"},
		{[]string{"diff", "x.lock.yaml"}, 2, "a lock file alone"},
		{[]string{"diff", file, "x.lock.yaml", "--set", "a=7"}, 2, "--set is for a recipe; x.lock.yaml is a lock file"},
		{[]string{"diff", file, file, "--format", "pdf"}, 2, `unknown format "pdf"`},
		{[]string{"diff", file, file, "--format", "csv"}, 1, "diff has no table to write as CSV"},
	} {
		code, out, errs := lightbox(c.args...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("lightbox %s: exit %d, want %d with %q\nstdout: %s\nstderr: %s", strings.Join(c.args, " "), code, c.code, c.want, out, errs)
		}
	}
}

func TestRunWritesResults(t *testing.T) {
	file := write(t, recipeText)
	out := filepath.Join(t.TempDir(), "results")
	code, stdout, stderr := lightbox("run", file, "--out", out)
	if code != 0 || !strings.Contains(stdout, "Sum\n") || !strings.Contains(stdout, "the sum is 42") {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	for _, name := range []string{"Sum.txt", "Sum.md", "Sum.tex", "Sum.html", "keys.yaml"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestCheckReportsEverything(t *testing.T) {
	bad := write(t, strings.NewReplacer("a+2)", "aa+2, b)", "param.Int(", "param.Inte(").Replace(recipeText))
	good := write(t, recipeText)
	code, stdout, stderr := lightbox("check", bad, good)
	if code != 1 || !strings.Contains(stdout, "no errors in 2 variables") {
		t.Errorf("exit %d\n%s", code, stdout)
	}
	for _, want := range []string{"sums.go:14:15: var a: package param has no Inte; did you mean Int", "undefined: aa", "undefined: b", "^"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("lacks %q:\n%s", want, stderr)
		}
	}
}

func TestCheckFix(t *testing.T) {
	file := write(t, strings.Replace(recipeText, "// %% Sum\n\n", "// %% Sum\n", 1))
	if code, _, stderr := lightbox("check", "--fix", file); code != 0 || !strings.Contains(stderr, "1 blank lines inserted") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	raw, err := os.ReadFile(file)
	if err != nil || string(raw) != recipeText {
		t.Errorf("%v\n%s", err, raw)
	}
}

func TestQuoted(t *testing.T) {
	if got := quoted([]string{"run", "a b", "--set", "x=it's", ""}); got != `run 'a b' --set 'x=it'\''s' ''` {
		t.Error(got)
	}
}
