package concepts

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// release writes a UMLS release; names are lines "CUI LAT ISPREF SUPPRESS name".
func release(t *testing.T, names, types []string) string {
	t.Helper()
	dir := t.TempDir()
	var conso, sty strings.Builder
	for i, n := range names {
		if f := strings.SplitN(n, " ", 5); len(f) == 5 {
			fmt.Fprintf(&conso, "%s|%s|P|L%d|PF|S%d|%s|A%d||||SRC|PT|%d|%s|0|%s||\n", f[0], f[1], i, i, f[2], i, i, f[4], f[3])
		} else {
			conso.WriteString(n + "\n")
		}
	}
	for _, s := range types {
		if f := strings.Fields(s); len(f) == 2 {
			fmt.Fprintf(&sty, "%s|%s|A1|Name|AT1|256|\n", f[0], f[1])
		} else {
			sty.WriteString(s + "\n")
		}
	}
	write(t, filepath.Join(dir, NamesFile), conso.String())
	write(t, filepath.Join(dir, TypesFile), sty.String())
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

var someNames = []string{
	"C0000001 ENG N N Pneumonia", "C0000001 ENG Y N pneumonia", "C0000001 GER Y N Lungenentzündung",
	"C0000002 ENG Y O Lung inflammation", "C0000003 ENG N Y cold", "C0000004 ENG Y N cold", "C0000004 ENG Y N  Ménière disease ",
}

var someTypes = []string{"C0000001 T047", "C0000002 T047", "C0000003 T047", "C0000003 T184", "C0000004 T082"}

// dump lists a dictionary's names with what they stand for.
func dump(d *Dictionary) string {
	var b strings.Builder
	for i := range d.names.len() {
		fmt.Fprintf(&b, "%s:", d.names.at(i))
		for _, e := range d.of(i) {
			c := d.concepts[e.concept]
			fmt.Fprintf(&b, " %s%v%v", c.cui, e.preferred, d.typeSets[c.types])
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestReadRRF(t *testing.T) {
	dir := release(t, someNames, someTypes)
	for _, c := range []struct {
		o    RRFOptions
		want string
	}{
		{RRFOptions{}, "Pneumonia: C0000001false[T047]\npneumonia: C0000001true[T047]\nLung inflammation: C0000002true[T047]\n" +
			"cold: C0000003false[T047 T184] C0000004true[T082]\nMe\u0301nie\u0300re disease: C0000004true[T082]\n"},
		{RRFOptions{Lowercase: true, NormalizeUnicode: true, DropSuppressed: true}, "pneumonia: C0000001false[T047]\ncold: C0000004true[T082]\nmeniere disease: C0000004true[T082]\n"},
		{RRFOptions{Language: "GER"}, "Lungenentzu\u0308ndung: C0000001true[T047]\n"},
	} {
		d, err := ReadRRF(dir, c.o)
		if err != nil {
			t.Fatal(err)
		}
		if got := dump(d); got != c.want {
			t.Errorf("%+v:\n%s\nwant\n%s", c.o, got, c.want)
		}
		file := filepath.Join(t.TempDir(), "kept")
		if err := d.Save(file); err != nil {
			t.Fatal(err)
		}
		back, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if dump(back) != c.want || back.String() != d.String() || back.Lowercase != c.o.Lowercase {
			t.Errorf("%+v came back as %s:\n%s", c.o, back, dump(back))
		}
		for _, text := range []string{"pneumonia of the lung", "A cold, and Ménière disease.", "Lungenentzündung"} {
			if a, b := fmt.Sprint(New(d, Options{}).Match(text)), fmt.Sprint(New(back, Options{}).Match(text)); a != b {
				t.Errorf("%q matches %s before and %s after it was kept", text, a, b)
			}
		}
	}
	one, _ := ReadRRF(dir, RRFOptions{})
	two, _ := ReadRRF(dir, RRFOptions{Lowercase: true})
	if one.Hash() == two.Hash() || len(one.Hash()) != 12 {
		t.Errorf("hashes %s and %s", one.Hash(), two.Hash())
	}
}

func TestLoadRefusesOthers(t *testing.T) {
	d, err := ReadRRF(release(t, someNames, someTypes), RRFOptions{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kept")
	if err := d.Save(file); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range []string{"", "{}\n", string(raw[:len(raw)-1]), string(raw) + "x", string(raw[:len(raw)/2])} {
		write(t, file, broken)
		if _, err := Load(file); err == nil {
			t.Errorf("%d of %d bytes were read as a dictionary", len(broken), len(raw))
		}
	}
}

func TestRRFErrors(t *testing.T) {
	many := make([]string, 30)
	for i := range many {
		many[i] = "C0000001|ENG|too few"
	}
	for _, c := range []struct {
		names, types []string
		want         []string
	}{
		{[]string{"C0000001 ENG Y N a name", "C0000001|ENG|P", "X1 ENG Y N b", "C0000009 ENG Y N c", "C0000001 ENG maybe N d", "C0000001 ENG Y N  "}, someTypes, []string{
			"MRCONSO.RRF, line 2: 2 fields; want 18, each followed by a bar", `line 3: concept "X1"; want C and seven digits`,
			"line 4: concept C0000009 has no semantic type in MRSTY.RRF", `line 5: ISPREF "maybe"; want Y or N`, "line 6: an empty name"}},
		{append(many, someNames...), someTypes, []string{"line 20:", "and 10 more lines like these"}},
		{someNames, []string{"C0000001 T47"}, []string{`MRSTY.RRF, line 1: semantic type "T47"; want T and three digits`}},
		{[]string{"C0000001 ENG Y N bad\xff"}, someTypes, []string{"line 1: not UTF-8"}},
		{[]string{"C0000001 GER Y N Husten"}, someTypes, []string{`holds no name in the language "ENG"`}},
	} {
		_, err := ReadRRF(release(t, c.names, c.types), RRFOptions{})
		if err == nil {
			t.Errorf("%v: no error", c.want)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in:\n%v", want, err)
			}
		}
		if n := strings.Count(err.Error(), "\n"); n > maxErrors {
			t.Errorf("%d lines of errors", n)
		}
	}
	stop := fmt.Errorf("stopped")
	long := make([]string, 1<<17)
	for i := range long {
		long[i] = fmt.Sprintf("C0000001 ENG Y N name %d", i)
	}
	if _, err := ReadRRF(release(t, long, someTypes), RRFOptions{Progress: func(_, _ int64) error { return stop }}); err != stop {
		t.Errorf("interrupted: %v", err)
	}
}

func TestFindFolder(t *testing.T) {
	dir := release(t, someNames, someTypes)
	f, err := FindFolder(dir)
	if err != nil || f.Flagged || f.Language != "ENG" || len(f.Files) != 2 {
		t.Errorf("%+v %v", f, err)
	}
	a, err := f.Fingerprint()
	if err != nil || len(a) != 12 {
		t.Errorf("fingerprint %q %v", a, err)
	}
	if g, err := FindFolder(filepath.Join(dir, NamesFile)); err != nil || g.Path != f.Path {
		t.Errorf("by its file: %+v %v", g, err)
	}
	quick := filepath.Join(dir, "quickumls")
	write(t, filepath.Join(quick, "language.flag"), "GER")
	write(t, filepath.Join(quick, "lowercase.flag"), "")
	if f, err = FindFolder(quick); err != nil || !f.Flagged || !f.Lowercase || f.NormalizeUnicode || f.Language != "GER" || f.Path != dir {
		t.Errorf("installation inside a release: %+v %v", f, err)
	}
	alone := filepath.Join(t.TempDir(), "q", "quickumls")
	write(t, filepath.Join(alone, "database_backend.flag"), "unqlite")
	if _, err = FindFolder(alone); err == nil || !strings.Contains(err.Error(), "is a QuickUMLS installation, whose databases are not read; put MRCONSO.RRF and MRSTY.RRF") {
		t.Errorf("installation alone: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, TypesFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := FindFolder(dir); err == nil || !strings.Contains(err.Error(), "has MRCONSO.RRF but no MRSTY.RRF") {
		t.Errorf("no types: %v", err)
	}
	if _, err := FindFolder(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a directory that is not there")
	}
	if _, err := FindFolder(t.TempDir()); err == nil || !strings.Contains(err.Error(), "holds no MRCONSO.RRF") {
		t.Errorf("an empty directory: %v", err)
	}
}
