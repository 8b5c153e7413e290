package text

import "testing"

func TestNearest(t *testing.T) {
	among := []string{"Rank", "Alpha", "TargetModules", "Dropout", "rouge1", "rouge2", "captions"}
	for _, c := range []struct {
		got, want string
		ok        bool
	}{
		{"Rnak", "Rank", true},
		{"rank", "Rank", true},
		{"targetmodule", "TargetModules", true},
		{"Droput", "Dropout", true},
		{"rouge", "rouge1", true},
		{"captoins", "captions", true},
		{"x", "", false},
		{"", "", false},
		{"learning_rate", "", false},
		{"Ränk", "Rank", true},
	} {
		if got, ok := Nearest(c.got, among); got != c.want || ok != c.ok {
			t.Errorf("Nearest(%q) = %q, %v; want %q, %v", c.got, got, ok, c.want, c.ok)
		}
	}
	if got, _ := Nearest("ab1", []string{"ab3", "ab2"}); got != "ab2" {
		t.Errorf("tie: got %q, want the alphabetically first", got)
	}
	if _, ok := Nearest("a", nil); ok {
		t.Error("nothing to suggest from must suggest nothing")
	}
}
