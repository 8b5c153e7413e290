package text

import "testing"

// Expected values are those of the evaluator's Python: caption.lower(), re.sub(r"\d+", "number", …),
// str.translate(str.maketrans("", "", string.punctuation)), run under Python 3.11.
func TestPrepare(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"A 2.5 cm Mass (arrow).", "a numbernumber cm mass arrow"},
		{"T2-weighted MRI, 12/03/2019", "tnumberweighted mri numbernumbernumber"},
		{"٣٤ mm × 5", "number mm × number"},
		{"«left» – right…", "«left» – right…"},
		{"ΟΔΟΣ İ", "οδος i̇"},
		{"!!!", ""},
		{" two  spaces ", " two  spaces "},
	} {
		if got := Prepare(c.in); got != c.want {
			t.Errorf("Prepare(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}
