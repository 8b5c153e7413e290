package concepts

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
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
	Blocks map[string][]string // of 20 captions each: hashes of their tokens, and of their matches with the open dictionary
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

func readGolden(t testing.TB) *golden {
	t.Helper()
	f, err := os.Open("testdata/golden.json.gz")
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

func TestGolden(t *testing.T) {
	g := readGolden(t)
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
	dictionaries := map[string]*Dictionary{"open": Open(), "mixed": g.mixedDictionary()}
	for _, r := range g.Runs {
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
			if a, b := describeMatches(got), describeMatches(want); a != b {
				fail("%s %+v: %q\n got %s\nwant %s", r.Dictionary, r.options(), g.Texts[i], a, b)
			}
		}
		if spans < 10 {
			t.Errorf("%s %+v: a golden of %d spans says little", r.Dictionary, r.options(), spans)
		}
	}
}

// TestCaptions compares tokens and matches of real captions by their hashes: every
// tenth block of 20, or with LIGHTBOX_LONG all 8,180.
func TestCaptions(t *testing.T) {
	captions := rocoCaptions(t)
	g := readGolden(t)
	step := 10
	if os.Getenv("LIGHTBOX_LONG") != "" {
		step = 1
	}
	m := New(Open(), Options{})
	const size = 20
	for k := 0; k*size < len(captions); k += step {
		block := captions[k*size : min(len(captions), (k+1)*size)]
		var tokens strings.Builder
		for _, c := range block {
			tokens.WriteString(describe(Tokenize(c)))
		}
		if got := hash(tokens.String()); got != g.Blocks["tokens"][k] {
			t.Errorf("tokens of captions %d to %d: %s, want %s", k*size, k*size+len(block)-1, got, g.Blocks["tokens"][k])
		}
		var found strings.Builder
		for _, c := range block {
			found.WriteString(describeMatches(m.Match(c)))
		}
		if got := hash(found.String()); got != g.Blocks["open"][k] {
			t.Errorf("matches of captions %d to %d: %s, want %s", k*size, k*size+len(block)-1, got, g.Blocks["open"][k])
		}
	}
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}

// rocoCaptions reads ROCO v1's validation captions, which lie beside this
// repository or in LIGHTBOX_SHARED.
func rocoCaptions(t testing.TB) []string {
	t.Helper()
	dir := os.Getenv("LIGHTBOX_SHARED")
	if dir == "" {
		at, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for ; at != filepath.Dir(at) && dir == ""; at = filepath.Dir(at) {
			if st, err := os.Stat(filepath.Join(at, "shared", "data")); err == nil && st.IsDir() {
				dir = filepath.Join(at, "shared")
			}
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "data", "roco-text", "validation_captions.txt"))
	if err != nil {
		t.Skipf("no real captions here: %v", err)
	}
	var out []string
	for _, line := range strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n") {
		_, caption, _ := strings.Cut(line, "\t")
		out = append(out, caption)
	}
	return out
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func describeMatches(groups [][]Match) string {
	var b strings.Builder
	for _, g := range groups {
		for _, m := range g {
			fmt.Fprintf(&b, "%d %d %s\t%s\t%s %.17g %s %d\n", m.Start, m.End, m.Text, m.Term, m.CUI, m.Similarity, strings.Join(m.Types, ","), bit(m.Preferred))
		}
		b.WriteString("\n")
	}
	return b.String() + "\n"
}

func describe(toks []Token) string {
	var b strings.Builder
	for _, t := range toks {
		pos := map[POS]string{OtherPOS: "X", Adposition: "ADP", Determiner: "DET"}[t.POS]
		fmt.Fprintf(&b, "%s\t%d %d%d%d%d %s\n", t.Text, t.Start, bit(t.Space), bit(isPunct(t.Text)), bit(isBlank(t.Text)), bit(likeNumber(t.Text)), pos)
	}
	return b.String() + "\n"
}

func describeGolden(toks []goldenToken) string {
	var b strings.Builder
	for _, t := range toks {
		fmt.Fprintf(&b, "%s\t%d %d%d%d%d %s\n", t.text, t.start, bit(t.space), bit(t.punct), bit(t.ws), bit(t.digit), t.pos)
	}
	return b.String() + "\n"
}

// TestExceptions compares the table of exceptions, which is made by rules, with
// spaCy's, entry by entry.
func TestExceptions(t *testing.T) {
	g := readGolden(t)
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
	captions := rocoCaptions(b)
	d := Open()
	d.index()
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	workers := runtime.GOMAXPROCS(0) // as score.ConceptF1 works: a matcher each
	for range b.N {
		var done sync.WaitGroup
		for w := range workers {
			done.Go(func() {
				m := New(d, Options{})
				for i := w; i < len(captions); i += workers {
					m.Match(captions[i])
				}
			})
		}
		done.Wait()
	}
	b.ReportMetric(float64(b.N*len(captions))/b.Elapsed().Seconds(), "captions/wall-s")
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		b.Fatal(err)
	}
	cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	b.ReportMetric(float64(b.N*len(captions))/cpu.Seconds(), "captions/s")
}
