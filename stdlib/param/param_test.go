package param_test

import (
	"os"
	"path/filepath"
	"testing"

	"lightbox/runtime/step"
	"lightbox/stdlib/param"
)

func TestDefaults(t *testing.T) {
	if got := param.Int("n", 3, "count"); got != 3 {
		t.Errorf("Int = %d, want the default 3", got)
	}
	if got := param.Dir("d", "a/../b/", "somewhere"); got != "b" {
		t.Errorf("Dir = %q, want b", got)
	}
	if got := param.Path("p", "", "no default"); got != "" {
		t.Errorf("Path = %q, want the empty default to stay empty", got)
	}
}

func TestGiven(t *testing.T) {
	defer step.Enter(step.Scope{Params: map[string]string{
		"n": "7", "lr": "2e-4", "name": "x y", "quick": "true", "root": "~/roco",
	}})()
	if got := param.Int("n", 3, ""); got != 7 {
		t.Errorf("Int = %d, want 7", got)
	}
	if got := param.Float("lr", 1, ""); got != 2e-4 {
		t.Errorf("Float = %g, want 2e-4", got)
	}
	if got := param.String("name", "", ""); got != "x y" {
		t.Errorf("String = %q, want \"x y\"", got)
	}
	if got := param.Bool("quick", false, ""); !got {
		t.Error("Bool = false, want true")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Skip(err)
	}
	if got, want := param.Dir("root", "data", ""), filepath.Join(home, "roco"); got != want {
		t.Errorf("Dir = %q, want %q", got, want)
	}
}
