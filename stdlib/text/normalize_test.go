package text

import "testing"

func TestNormalize(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{" CT,\taxial \n view ", "CT, axial view"},
		{"cafe\u0301", "caf\u00e9"},
		{"a\u200bb\u00adc\x00d", "abcd"},
		{"2.5\u00a0cm  (arrow)", "2.5 cm (arrow)"},
		{" \n", ""},
		{"", ""},
	} {
		if got := Normalize(c.in); got != c.want {
			t.Errorf("Normalize(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}
