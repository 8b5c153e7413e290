package concepts

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestFind compares the names found with those that counting every name's common
// trigrams finds: short and long names, queries of more trigrams than a tally
// holds, characters beyond ASCII, all measures.
func TestFind(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(most int) string {
		b := make([]rune, 1+rng.IntN(most))
		for i := range b {
			b[i] = []rune("aaaabbcé 1")[rng.IntN(10)]
		}
		return string(b)
	}
	var names []string
	for i := range 500 {
		names = append(names, random([]int{6, 20, 60, 140, 400}[i%5]))
	}
	x := newIndex(len(names), func(i int) string { return names[i] })
	own := make([][]gram, len(names))
	sets := make([]map[gram]bool, len(names))
	for i, name := range names {
		own[i], sets[i] = indexed(nil, name), map[gram]bool{}
		for _, g := range own[i] {
			sets[i][g] = true
		}
	}
	countAll := func(query string, m Measure, alpha float64) []int32 {
		var out []int32
		grams := indexed(nil, query)
		lo, hi := m.sizes(len(grams), alpha, 400)
		for i := range names {
			n, common := len(own[i]), 0
			if n < lo || n > hi {
				continue
			}
			for _, g := range grams {
				if sets[i][g] {
					common++
				}
			}
			if common >= m.least(len(grams), n, alpha) {
				out = append(out, int32(i))
			}
		}
		return out
	}
	var f finder
	found := map[string]int{}
	for i := range 200 {
		query := random([]int{6, 20, 60, 140, 400}[i%5])
		if i%2 == 0 {
			r := []rune(names[rng.IntN(len(names))])
			r[rng.IntN(len(r))] = 'b'
			query = string(r)
		}
		for _, m := range []Measure{Jaccard, Dice, Cosine, Overlap} {
			alpha := []float64{0.5, 0.7, 0.9, 1}[rng.IntN(4)]
			got := slices.Sorted(slices.Values(f.find(x, query, m, alpha)))
			if want := countAll(query, m, alpha); !slices.Equal(got, want) {
				t.Fatalf("%q, %s of %v: got %d, want %d", query, m, alpha, got, want)
			}
			if len(got) > 0 {
				found[fmt.Sprint(m, " ", len(indexed(nil, query)) > mostTallied)]++
			}
		}
	}
	if len(found) != 8 {
		t.Errorf("queries with anything found: %v; want all measures, short and long", found)
	}
}

// TestTally compares with counts that are kept one by one, up to the most.
func TestTally(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var have, least tally
	var counts, bounds [64]int
	for b := range bounds {
		bounds[b] = rng.IntN(mostTallied + 1)
		for k := range least {
			least[k] |= uint64(bounds[b]>>k&1) << b
		}
	}
	for range mostTallied {
		mask := rng.Uint64() | rng.Uint64() | 1
		have.add(mask)
		want := uint64(0)
		for b := range counts {
			if counts[b] += int(mask >> b & 1); counts[b] >= bounds[b] {
				want |= 1 << b
			}
		}
		if got := have.atLeast(&least); got != want {
			t.Fatalf("got %064b, want %064b", got, want)
		}
	}
	if counts[0] != mostTallied {
		t.Errorf("a count of %d; want %d", counts[0], mostTallied)
	}
}

// TestSpans compares the matcher with one that looks up every span that the syntax
// allows, for everything that changes what is looked up.
func TestSpans(t *testing.T) {
	g := readGolden(t)
	var texts []string
	for i, s := range g.Texts[:min(len(g.Texts), 120)] {
		texts = append(texts, s)
		switch i % 8 {
		case 0:
			texts = append(texts, strings.ToUpper(s))
		case 4:
			texts = append(texts, strings.ToTitle(s[:len(s)/2])+s[len(s)/2:])
		}
	}
	texts = append(texts, strings.Repeat("pneumonia", 40)+" of the lung", "LUNG the CANCER", "ÉDEMA", "lung\u00a0cancer", "e\u0301dema of lung")
	for _, flags := range [][2]bool{{false, false}, {true, false}, {false, true}, {true, true}} {
		b := newBuilder("test", flags[0], flags[1])
		for i, n := range []string{"Pneumonia", "lung cancer", "LUNG CANCER", "Œdema", "edema of lung", "cyst of left kidney", "CT", "fracture", "Tumor", "tumour of the brain"} {
			b.name(n, b.concept(fmt.Sprintf("C%07d", i), []string{"T047"}), i%2 == 0)
		}
		for _, n := range g.Mixed {
			b.name(n.name, b.concept(n.cui, []string{"T047"}), n.preferred == "Y")
		}
		d := b.done()
		for _, o := range []Options{{}, {KeepUppercase: true}, {MinLength: 1, Threshold: 0.5, Window: 7}, {Similarity: Overlap, Threshold: 0.9}, {Similarity: Dice}, {Similarity: Cosine}} {
			o.AllSpans = true
			m, all := New(d, o).(*quickUMLS), New(d, o).(*quickUMLS)
			spans := 0
			for _, s := range texts {
				got, want := describeMatches(m.Match(s)), describeMatches(all.matchAll(s))
				if got != want {
					t.Fatalf("%v %+v: %q\n got %s\nwant %s", flags, o, s, got, want)
				}
				spans += strings.Count(want, "\n\n")
			}
			if spans < 20 {
				t.Errorf("%v %+v: %d spans say little", flags, o, spans)
			}
		}
	}
}

// matchAll is Match without anything passed over or remembered.
func (q *quickUMLS) matchAll(s string) [][]Match {
	var out [][]Match
	add := func(start, end int, text string) {
		clear(q.memo)
		if found := slices.Clone(q.lookup(text)); len(found) > 0 {
			for i := range found {
				found[i].Start, found[i].End = start, end
			}
			out = append(out, found)
		}
	}
	toks := q.toks.tokens(s)
	for i, t := range toks {
		if !t.mayStart {
			continue
		}
		if i+1 == len(toks) && t.mayEnd && t.length >= q.opts.MinLength {
			add(t.Start, t.end(), t.Text)
		}
		var text []byte
		for j := i; j < min(len(toks), i+q.opts.Window); j++ {
			last := toks[j]
			if last.POS != Determiner {
				text = append(text, last.Text...)
			}
			if (j > i || t.mayStandAlone) && last.mayEnd && last.end()-t.Start >= q.opts.MinLength {
				add(t.Start, last.end(), string(bytes.TrimFunc(text, isSpace)))
			}
			if last.Space && last.POS != Determiner {
				text = append(text, ' ')
			}
		}
	}
	return out
}
