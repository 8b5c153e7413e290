package text

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// TestPrepareGolden compares Prepare with Python.
func TestPrepareGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Points string
		Cases  []struct {
			Text, Prepared string
		}
	}
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	for _, c := range g.Cases {
		if got := Prepare(c.Text); got != c.Prepared {
			t.Errorf("Prepare(%q) = %q, want %q", c.Text, got, c.Prepared)
		}
	}
	h := sha256.New()
	for r := rune(0); r < 0x1C80; r++ {
		h.Write([]byte(Prepare("x"+string(r)) + "\n"))
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != g.Points {
		t.Errorf("code points below U+1C80: hash %.12s, want %.12s", got, g.Points)
	}
}

func TestNormalizeHostile(t *testing.T) {
	for in, want := range map[string]string{
		" Axial  CT\n\tof the chest. ":    "Axial CT of the chest.",
		"cafe\u0301":                      "café",
		"a\x00b\x07c\u200bd\ufeffe\u00ad": "abcde",
		"a\u00a0\u3000b":                  "a b",
		"a\x00 \x00b":                     "a b",
		"\u0915\u094d\u200d":              "\u0915\u094d\u200d",
		"bad \xff\xfe":                    "bad \uFFFD",
		"e\u200b\u0301":                   "é",
		"":                                "",
	} {
		got := Normalize(in)
		if got != want {
			t.Errorf("Normalize(%q) = %q, want %q", in, got, want)
		}
		if again := Normalize(got); again != got {
			t.Errorf("Normalize(%q) = %q: not stable", got, again)
		}
	}
}
