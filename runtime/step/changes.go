package step

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Changes names the leaves in which two canonical parameters (Canonical)
// differ: "parameter Rank 8 → 16".
func Changes(before, now []byte) []string {
	old, err1 := leaves(before)
	fresh, err2 := leaves(now)
	if err1 != nil || err2 != nil {
		return nil
	}
	all := maps.Clone(old)
	maps.Copy(all, fresh)
	var out []string
	for _, k := range slices.Sorted(maps.Keys(all)) {
		a, inOld := old[k]
		b, inNew := fresh[k]
		name := strings.TrimPrefix(k, ".")
		if name == "" {
			name = "value"
		}
		switch {
		case strings.HasPrefix(b, `"func `) && a != b:
			out = append(out, "function "+name+" changed")
		case !inOld:
			out = append(out, "parameter "+name+" default → "+brief(b))
		case !inNew:
			out = append(out, "parameter "+name+" "+brief(a)+" → default")
		case a != b:
			out = append(out, "parameter "+name+" "+brief(a)+" → "+brief(b))
		}
	}
	return out
}

// brief keeps the ends of a long text.
func brief(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:20]) + "…" + string(r[len(r)-18:])
	}
	return s
}

// leaves flattens canonical JSON to path → text.
func leaves(raw []byte) (map[string]string, error) {
	out := map[string]string{}
	if len(raw) == 0 {
		return out, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				if k == "value" && v["type"] != nil {
					walk(path, e)
				} else {
					walk(path+"."+k, e)
				}
			}
		case []any:
			for i, e := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), e)
			}
		case string:
			out[path] = fmt.Sprintf("%q", v)
		default:
			out[path] = fmt.Sprint(v)
		}
	}
	walk("", v)
	return out, nil
}
