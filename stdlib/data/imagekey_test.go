package data

import (
	"strings"
	"testing"
)

// TestImageKey: the content and what is done to it are in the key, names and places of files are not.
func TestImageKey(t *testing.T) {
	sum, other := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	key := func(ref string, s *Standard) string {
		r := &Reader{examples: []Example{{Image: ref}}}
		r.Meta.Standard = s
		return r.ImageKey(0)
	}
	a := key("sha256:"+sum+"/a.png", nil)
	if a == "" || a != key("sha256:"+sum+"/b.png", nil) {
		t.Errorf("one content under two names: %q and %q", a, key("sha256:"+sum+"/b.png", nil))
	}
	row := key(parquetRef("sha256:"+sum+"/x.parquet", "3"), nil)
	if row == "" || row != key(parquetRef("sha256:"+sum+"/y.parquet", "3"), nil) {
		t.Errorf("a row of a file: %q", row)
	}
	seen := map[string]bool{a: true, row: true}
	for _, k := range []string{
		key("sha256:"+other+"/a.png", nil), key(parquetRef("sha256:"+sum+"/x.parquet", "4"), nil), key("phantom:v1?seed=1", nil), key("phantom:v1?seed=2", nil),
		key("sha256:"+sum+"/a.png", &Standard{}), key("sha256:"+sum+"/a.png", &Standard{LongestSide: 64}), key("sha256:"+sum+"/a.png", &Standard{LongestSide: 64, Square: true}),
	} {
		if k == "" || seen[k] {
			t.Errorf("%q is empty or another image's too", k)
		}
		seen[k] = true
	}
	for _, ref := range []string{"", "/dir/a.png", parquetRef("/dir/x.parquet", "3")} {
		if k := key(ref, &Standard{LongestSide: 64}); k != "" {
			t.Errorf("%q: key %q, but its content is not known", ref, k)
		}
	}
}
