package concepts

import (
	"encoding/json"
	"os"
	"testing"
)

func TestDev(t *testing.T) {
	raw, err := os.ReadFile("/tmp/qu/rules.json")
	if err != nil {
		t.Skip()
	}
	var rules map[string][]map[string]string
	if err := json.Unmarshal(raw, &rules); err != nil {
		t.Fatal(err)
	}
	e := exceptions()
	for k, v := range rules {
		p, ok := e[k]
		if !ok || len(p) != len(v) {
			t.Errorf("rule %q missing %v", k, v)
			continue
		}
		for i := range p {
			if p[i] != v[i]["65"] {
				t.Errorf("rule %q %v %v", k, p, v)
			}
		}
	}
	for k := range e {
		if rules[k] == nil {
			t.Errorf("extra %q", k)
		}
	}
	raw, _ = os.ReadFile("/tmp/qu/toks.json")
	var toks [][]any
	if err := json.Unmarshal(raw, &toks); err != nil {
		t.Fatal(err)
	}
	bad := 0
	for _, x := range toks {
		text := x[0].(string)
		want := x[1].([]any)
		got := Tokenize(text)
		ok := len(got) == len(want)
		for i := 0; ok && i < len(got); i++ {
			w := want[i].([]any)
			ok = got[i].Text == w[0].(string) && float64(got[i].Start) == w[1].(float64) && got[i].Space == w[2].(bool) &&
				got[i].isPunct() == w[3].(bool) && got[i].isSpace() == w[4].(bool) && got[i].likeNumber() == w[5].(bool)
		}
		if !ok {
			bad++
			if bad < 15 {
				t.Errorf("%q\n got %v\nwant %v", text, got, want)
			}
		}
	}
	t.Log(len(toks), "texts", bad, "bad")
}
