package recipe

import (
	"go/token"
	"strings"
	"testing"
)

// Errors of one place share its line, and commands are listed once, where there is more than one.
func TestErrorsShareSnippets(t *testing.T) {
	at := func(line int, msg string, fix ...string) *Error {
		return &Error{Pos: token.Position{Filename: "r.go", Line: line, Column: 1}, Msg: msg, Line: "var x = 1", Len: 3, Fix: fix}
	}
	es := Errors{at(1, "no a", "get a"), at(1, "no b", "get b", "get a"), at(2, "no c")}
	want := "r.go:1:1: no a\nr.go:1:1: no b\n    1 | var x = 1\n      | ^^^\nr.go:2:1: no c\n    2 | var x = 1\n      | ^^^\n" +
		"all that is missing and can be downloaded:\n  get a\n  get b"
	if got := es.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := (Errors{at(1, "no a", "get a")}).Error(); strings.Contains(got, "downloaded") {
		t.Errorf("one command stands in its error already:\n%s", got)
	}
}
