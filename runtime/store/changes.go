package store

import (
	"fmt"
	"path/filepath"
)

// Changes says in words which of the external files behind an artifact differ
// from before: "file captions.csv changed (and 3 more)". Files are compared by
// name, and by their place in the list where all have moved.
func Changes(before, now []Source) []string {
	name := func(s Source) string { return filepath.Base(s.Path) }
	old, fresh := map[string]string{}, map[string]string{}
	same := len(before) == len(now)
	for _, s := range before {
		old[s.Path] = s.SHA256
	}
	for i, s := range now {
		fresh[s.Path] = s.SHA256
		same = same && before[i].SHA256 == s.SHA256
	}
	if same {
		return nil
	}
	if len(before) == len(now) && disjoint(old, fresh) { // the directory moved: compare by place
		for i := range now {
			if before[i].SHA256 != now[i].SHA256 {
				return []string{"file " + name(now[i]) + " changed" + others(countDiffer(before, now)-1)}
			}
		}
	}
	var changed, added, removed []string
	for _, s := range now {
		if sum, ok := old[s.Path]; !ok {
			added = append(added, name(s))
		} else if sum != s.SHA256 {
			changed = append(changed, name(s))
		}
	}
	for _, s := range before {
		if _, ok := fresh[s.Path]; !ok {
			removed = append(removed, name(s))
		}
	}
	var out []string
	for _, g := range []struct {
		names []string
		verb  string
	}{{changed, "changed"}, {added, "was added"}, {removed, "was removed"}} {
		if len(g.names) > 0 {
			out = append(out, "file "+g.names[0]+" "+g.verb+others(len(g.names)-1))
		}
	}
	return out
}

func disjoint(a, b map[string]string) bool {
	for k := range a {
		if _, ok := b[k]; ok {
			return false
		}
	}
	return true
}

func countDiffer(a, b []Source) int {
	n := 0
	for i := range a {
		if a[i].SHA256 != b[i].SHA256 {
			n++
		}
	}
	return n
}

func others(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}
