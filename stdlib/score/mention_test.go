package score

import (
	"strings"
	"testing"
)

// Words are those of ROUGE, but for the glued ones.
func TestWordsAreTokens(t *testing.T) {
	for _, s := range []string{"", "Axial CT, T2-weighted; 3.5 cm×2", "\u212aelvin \u0130stanbul ab\u0130cd", "naïve — ‘quoted’ CTs MRIs x-Ray", "a\tb\nc 12mm T2w"} {
		var got []string
		for _, w := range builtin().words(s) {
			got = append(got, w.text)
			if again := words(s[w.start:w.end]); len(again) != 1 || again[0] != w.text {
				t.Errorf("%q: %q stands at %q", s, w.text, s[w.start:w.end])
			}
		}
		if want := words(s); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q: %q; want %q", s, got, want)
		}
	}
	for s, want := range map[string]string{
		"chestX-ray": "chest|x|ray", "CTpulmonary": "ct|pulmonary", "CTPulmonary": "ct|pulmonary", "MRImaging": "mri|maging", "PETct": "petct",
		"CTs": "cts", "MRIs and USs": "mris|and|uss", "DWIimage": "dwiimage", "ChestXray": "chest|xray",
	} {
		var got []string
		for _, w := range builtin().words(s) {
			got = append(got, w.text)
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%q: %q; want %s", s, got, want)
		}
	}
}

func TestMentions(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"CTpulmonary embolus, 2.5 x 3 cm; 1,55 mm", "modality_named=CT@CT anatomy=lung@pulmonary finding=embolism@embolus size=25@2.5 size=30@3 cm size=1.55@1,55 mm"},
		{"right-sided pleural effusions (Green Arrow)", "side=right@right-sided finding=effusion@pleural effusions anatomy=pleura@pleural marker=arrow@Arrow"},
		{"éé LEFT kidney", "side=left@LEFT anatomy=kidney@kidney"},
		{"", ""},
	} {
		var got []string
		for _, m := range Mentions(c.text) {
			got = append(got, string(m.Kind)+"="+m.Term+"@"+c.text[m.Start:m.End])
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.text, s, c.want)
		}
	}
}
