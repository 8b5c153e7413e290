package step

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Difference is one leaf in which two canonical parameters differ. A side that
// has the default shows as "".
type Difference struct {
	Name        string // "Rank", "Config.LR"; "value" of parameters that are one value
	Before, Now string // as JSON
}

// Function reports whether the leaf is a function, known by the hash of its source.
func (d Difference) Function() bool { return strings.HasPrefix(d.Now, `"func `) }

// Differences lists the leaves in which two canonical parameters (Canonical)
// differ, by name; none where either cannot be read.
func Differences(before, now []byte) []Difference {
	old, err1 := leaves(before)
	fresh, err2 := leaves(now)
	if err1 != nil || err2 != nil {
		return nil
	}
	all := maps.Clone(old)
	maps.Copy(all, fresh)
	var out []Difference
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if old[k] == fresh[k] {
			continue
		}
		name := strings.TrimPrefix(k, ".")
		if name == "" {
			name = "value"
		}
		out = append(out, Difference{name, old[k], fresh[k]})
	}
	return out
}

// Changes names the leaves in which two canonical parameters differ, in words:
// "parameter Rank 8 → 16".
func Changes(before, now []byte) []string {
	word := func(s string) string {
		if s == "" {
			return "default"
		}
		return brief(s)
	}
	var out []string
	for _, d := range Differences(before, now) {
		if d.Function() {
			out = append(out, "function "+d.Name+" changed")
			continue
		}
		out = append(out, "parameter "+d.Name+" "+word(d.Before)+" → "+word(d.Now))
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
