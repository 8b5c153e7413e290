package punkt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type part struct {
	Sentences    [][]string
	Captions     int
	Roco, Joined string
}

func goldens(t *testing.T) (texts []string, of map[string]part) {
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Texts []string
		Old   part `json:"3.9.1"`
		New   part `json:"3.10.4"`
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g.Texts, map[string]part{"3.9.1": g.Old, "3.10.4": g.New}
}

func params(t *testing.T, version string) *Params {
	p, err := English()
	if err != nil {
		t.Fatal(err)
	}
	q := *p
	q.Modern = version == "3.10.4"
	return &q
}

// TestSentences: texts made to be awkward, as both versions of NLTK cut them.
func TestSentences(t *testing.T) {
	texts, of := goldens(t)
	for version, g := range of {
		p := params(t, version)
		for i, text := range texts {
			if got := p.Sentences(text); !slices.Equal(got, g.Sentences[i]) {
				t.Errorf("NLTK %s of %q:\n got %q\nwant %q", version, text, got, g.Sentences[i])
			}
		}
	}
}

// digest hashes the sentences of each 20 texts, as make_golden.py does.
func digest(p *Params, texts []string) string {
	var out strings.Builder
	for some := range slices.Chunk(texts, 20) {
		var all []string
		for _, x := range some {
			all = append(append(all, p.Sentences(x)...), "\x01")
		}
		sum := sha256.Sum256([]byte(strings.Join(all, "\x00")))
		out.WriteString(hex.EncodeToString(sum[:4]))
	}
	return out.String()
}

// TestCaptions: all real captions, and captions joined to long texts.
func TestCaptions(t *testing.T) {
	captions := realCaptions(t)
	_, of := goldens(t)
	joins := []string{"", " ", "\n", "\u201d ", " \u201c", ") "}
	var joined []string
	for some := range slices.Chunk(captions, 7) {
		if len(some) == 7 {
			joined = append(joined, strings.Join(some, joins[len(joined)%6]))
		}
	}
	for version, g := range of {
		p := params(t, version)
		if len(captions) != g.Captions {
			t.Fatalf("%d captions, the golden was made of %d", len(captions), g.Captions)
		}
		for name, c := range map[string]struct {
			texts []string
			want  string
		}{"captions": {captions, g.Roco}, "joined": {joined, g.Joined}} {
			got := digest(p, c.texts)
			for i := 0; i < len(c.want); i += 8 {
				if got[i:i+8] != c.want[i:i+8] {
					t.Errorf("NLTK %s, %s: other sentences in texts %d to %d", version, name, i/8*20, i/8*20+19)
				}
			}
		}
	}
}

// TestMutants: what a reader of the paper could get wrong changes sentences of the golden.
func TestMutants(t *testing.T) {
	texts, of := goldens(t)
	for name, change := range map[string]func(*Params){
		"no abbreviations": func(p *Params) { p.abbreviations = nil },
		"no collocations":  func(p *Params) { p.collocations = nil },
		"no starters":      func(p *Params) { p.starters = nil },
		"no contexts":      func(p *Params) { p.contexts = nil },
		"NLTK 3.10.4":      func(p *Params) { p.Modern = true },
	} {
		p := params(t, "3.9.1")
		change(p)
		same := true
		for i, text := range texts {
			same = same && slices.Equal(p.Sentences(text), of["3.9.1"].Sentences[i])
		}
		if same {
			t.Errorf("%s: no sentence changes", name)
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want := func(s string) {
		t.Helper()
		if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("error %v; want %q", err, s)
		}
	}
	put("abbrev_types.txt", "fig\napprox")
	want("lacks collocations.tab")
	put("collocations.tab", "")
	put("sent_starters.txt", "the\n")
	put("ortho_context.tab", "the\t2\nodd")
	want("ortho_context.tab:2: 1 fields; want 2")
	put("ortho_context.tab", "the\t2\nodd\tx")
	want(`ortho_context.tab:2: "x" is no set of contexts`)
	put("ortho_context.tab", "the\t2\nodd\t32")
	p, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Sentences("See Fig. 2, approx. 3 cm. The end."); !slices.Equal(got, []string{"See Fig. 2, approx. 3 cm.", "The end."}) {
		t.Errorf("own parameters: %q", got)
	}
}

func realCaptions(t testing.TB) []string {
	t.Helper()
	dir := os.Getenv("LIGHTBOX_SHARED")
	if dir == "" {
		here, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for dir = here; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "shared")); err == nil {
				break
			}
		}
		dir = filepath.Join(dir, "shared")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "data", "roco-text", "validation_captions.txt"))
	if err != nil {
		t.Skipf("no real captions here (LIGHTBOX_SHARED names their folder): %v", err)
	}
	var out []string
	for _, l := range strings.Split(string(raw), "\n") {
		if l != "" {
			_, caption, _ := strings.Cut(l, "\t")
			out = append(out, caption)
		}
	}
	return out
}

func BenchmarkSentences(b *testing.B) {
	captions := realCaptions(b)
	p, err := English()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, c := range captions {
			p.Sentences(c)
		}
	}
	b.ReportMetric(float64(b.N*len(captions))/b.Elapsed().Seconds(), "texts/s")
}
