package concepts

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// golden is what testdata/make_golden.py writes.
type golden struct {
	Texts  []string
	Tokens [][]goldenToken
	Rules  [][]string
	Mixed  []goldenName
	Runs   []goldenRun
}

type goldenRun struct {
	Dictionary string
	Init       struct {
		Criteria   Overlapping     `json:"overlapping_criteria"`
		Similarity Measure         `json:"similarity_name"`
		Threshold  float64         `json:"threshold"`
		Window     int             `json:"window"`
		MinLength  int             `json:"min_match_length"`
		Keep       bool            `json:"keep_uppercase"`
		Types      json.RawMessage `json:"accepted_semtypes"`
	}
	How struct {
		Best   *bool `json:"best_match"`
		Ignore bool  `json:"ignore_syntax"`
	}
	Picked  []int
	Matches [][][]goldenMatch
}

func (r goldenRun) options() Options {
	o := Options{Overlap: r.Init.Criteria, Similarity: r.Init.Similarity, Threshold: r.Init.Threshold, Window: r.Init.Window,
		MinLength: r.Init.MinLength, KeepUppercase: r.Init.Keep, IgnoreSyntax: r.How.Ignore, AllSpans: r.How.Best != nil && !*r.How.Best}
	if len(r.Init.Types) > 0 {
		o.Types = []string{"any"}
	}
	return o
}

// tuple reads a JSON array into the pointers of its members.
func tuple(raw []byte, into ...any) error { return json.Unmarshal(raw, &into) }

type goldenToken struct {
	text                    string
	start                   int
	space, punct, ws, digit bool
	pos                     string
}

func (t *goldenToken) UnmarshalJSON(b []byte) error {
	return tuple(b, &t.text, &t.start, &t.space, &t.punct, &t.ws, &t.digit, &t.pos)
}

type goldenName struct {
	cui, name string
	types     []string
	preferred string
}

func (n *goldenName) UnmarshalJSON(b []byte) error {
	return tuple(b, &n.cui, &n.name, &n.types, &n.preferred)
}

type goldenMatch struct{ Match }

func (m *goldenMatch) UnmarshalJSON(b []byte) error {
	var preferred int
	err := tuple(b, &m.Start, &m.End, &m.Text, &m.Term, &m.CUI, &m.Similarity, &m.Types, &preferred)
	m.Preferred = preferred == 1
	return err
}

func readGolden(t testing.TB, path string) *golden {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.NewDecoder(z).Decode(&g); err != nil {
		t.Fatal(err)
	}
	return &g
}

// mixedDictionary is the golden's own dictionary: names of several concepts,
// preferred or not, accents and capitals.
func (g *golden) mixedDictionary() *Dictionary {
	types := map[string][]string{}
	for _, n := range g.Mixed {
		if _, ok := types[n.cui]; !ok && n.types != nil {
			types[n.cui] = n.types
		}
	}
	b := newBuilder("mixed", false, false)
	for _, n := range g.Mixed {
		ts := types[n.cui]
		if ts == nil {
			ts = []string{"T047"}
		}
		b.name(n.name, b.concept(n.cui, ts), n.preferred == "Y")
	}
	return b.done()
}

func TestGolden(t *testing.T) { compare(t, readGolden(t, "testdata/golden.json.gz")) }

// TestAllCaptions compares every caption of ROCO v1's validation split; make the
// file with make_golden.py --full.
func TestAllCaptions(t *testing.T) {
	path := os.Getenv("LIGHTBOX_CONCEPTS_FULL")
	if path == "" {
		t.Skip("LIGHTBOX_CONCEPTS_FULL names no golden of all captions")
	}
	compare(t, readGolden(t, path))
}

func compare(t *testing.T, g *golden) {
	bad := 0
	fail := func(format string, args ...any) {
		if bad++; bad <= 10 {
			t.Errorf(format, args...)
		}
	}
	for i, text := range g.Texts {
		if got, want := describe(Tokenize(text)), describeGolden(g.Tokens[i]); got != want {
			fail("%q\n got %s\nwant %s", text, got, want)
		}
	}
	t.Logf("tokens of %d texts, %d bad", len(g.Texts), bad)
	dictionaries := map[string]*Dictionary{"open": Open(), "mixed": g.mixedDictionary()}
	for _, r := range g.Runs {
		bad = 0
		m := New(dictionaries[r.Dictionary], r.options())
		spans := 0
		for k, i := range r.Picked {
			got := m.Match(g.Texts[i])
			var want [][]Match
			for _, group := range r.Matches[k] {
				var ms []Match
				for _, x := range group {
					ms = append(ms, x.Match)
				}
				want = append(want, ms)
			}
			spans += len(want)
			if a, b := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); a != b {
				fail("%s %+v: %q\n got %s\nwant %s", r.Dictionary, r.options(), g.Texts[i], a, b)
			}
		}
		t.Logf("%s %+v: %d texts, %d spans, %d texts bad", r.Dictionary, r.options(), len(r.Picked), spans, bad)
	}
}

func describe(toks []Token) string {
	var b strings.Builder
	for _, t := range toks {
		pos := map[POS]string{OtherPOS: "X", Adposition: "ADP", Determiner: "DET"}[t.POS]
		fmt.Fprintf(&b, "[%s %d %v %v %v %v %s]", t.Text, t.Start, t.Space, isPunct(t.Text), isBlank(t.Text), likeNumber(t.Text), pos)
	}
	return b.String()
}

func describeGolden(toks []goldenToken) string {
	var b strings.Builder
	for _, t := range toks {
		fmt.Fprintf(&b, "[%s %d %v %v %v %v %s]", t.text, t.start, t.space, t.punct, t.ws, t.digit, t.pos)
	}
	return b.String()
}

// TestExceptions compares the table of exceptions, which is made by rules, with
// spaCy's, entry by entry.
func TestExceptions(t *testing.T) {
	g := readGolden(t, "testdata/golden.json.gz")
	ours := exceptions()
	for _, r := range g.Rules {
		if got, want := strings.Join(ours[r[0]], "|"), strings.Join(r[1:], "|"); got != want {
			t.Errorf("%q is cut into %q; want %q", r[0], got, want)
		}
	}
	if len(ours) != len(g.Rules) {
		t.Errorf("%d exceptions; want %d", len(ours), len(g.Rules))
	}
}

// BenchmarkMatch times the matcher alone, with nothing remembered from before; see
// testdata/bench.py.
func BenchmarkMatch(b *testing.B) {
	path := os.Getenv("LIGHTBOX_CONCEPTS_FULL")
	if path == "" {
		path = "testdata/golden.json.gz"
	}
	g := readGolden(b, path)
	d := Open()
	d.index()
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		m := New(d, Options{})
		for _, text := range g.Texts {
			m.Match(text)
		}
	}
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		b.Fatal(err)
	}
	cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	b.ReportMetric(float64(b.N*len(g.Texts))/cpu.Seconds(), "captions/s")
}
