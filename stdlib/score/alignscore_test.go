package score

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/score/encoders"
	"lightbox/stdlib/text/punkt"
	"lightbox/stdlib/text/tokenizer"
)

// abWords are n words of one letter, as words in testdata/pairs.py.
func abWords(n int) string {
	w := make([]string, n)
	for i := range w {
		w[i] = string("ab"[i%2])
	}
	return strings.Join(w, " ")
}

// book is a context of 1,301 words in 94 sentences.
func book() string {
	var s []string
	for i := range 94 {
		left := ""
		if i < 79 {
			left = " left"
		}
		s = append(s, "The lower lobe shows one small mass with the pleural effusion on side"+left+".")
	}
	return strings.Join(s, " ")
}

// alignPairs are ALIGN of testdata/pairs.py.
func alignPairs() [][2]string {
	a := abWords
	return [][2]string{
		{book(), "The lower lobe shows one small mass. No pleural effusion. The brain is normal."}, {book(), book()[:400]},
		{strings.Repeat("The chest. ", 40) + a(300) + ".", "A " + a(520) + ". B " + a(300) + ". " + strings.Repeat("One mass. ", 34) + "C " + a(300) + ". D."},
		{a(400) + ". End.", a(508) + "."}, {"", a(700) + "."}, {strings.Repeat("A mass. ", 200), a(300) + ". A mass."},
		{"A mass.", `Fig. 2 shows it. approx. 3.5 cm e.g. a cyst. Smith et al. (2020) said "No." Then.`},
	}
}

type alignGolden struct {
	Lines   int
	Hostile []*float64 // nil where AlignScore's own code fails
	Real    []float64
}

func alignGoldens(t testing.TB) (g alignGolden, hostile []float64) {
	readJSON(t, "testdata/alignscore/golden.json", &g)
	for _, v := range g.Hostile {
		if v == nil {
			v = new(float64) // what AlignScore of this package says there
		}
		hostile = append(hostile, *v)
	}
	return g, hostile
}

// alignDir is a checkpoint as testdata/alignscore/make_golden.py had it; LIGHTBOX_ALIGNSCORE names a folder with one that it wrote.
func alignDir(t testing.TB) string {
	if dir := os.Getenv("LIGHTBOX_ALIGNSCORE"); dir != "" {
		return dir
	}
	dir := filepath.Join(t.TempDir(), "align")
	copyDir(t, "testdata/alignscore/roberta", dir)
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := encoders.ParseConfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	one := func(name string) safetensors.Tensor {
		return safetensors.Float32(name, safetensors.F32, []int{1}, []float32{1})
	}
	writeWeights(t, filepath.Join(dir, alignFile), alignSource(c, nil), 5, one("bin_layer.weight"), one("reg_layer.bias"), one("mlm_head.dense.weight"))
	return dir
}

const alignTolerance = 1e-5

func TestAlignScore(t *testing.T) {
	_, want := alignGoldens(t)
	pairs := slices.Concat(hostilePairs(), alignPairs())
	got := runNet(t, alignscore{}, alignDir(t), pairs)
	d, at := farthest(got, want)
	t.Logf("within %.1e", d)
	if d > alignTolerance {
		t.Errorf("pair %d %.80q: %v; want %v", at, pairs[at], got[at], want[at])
	}
}

func TestAlignScoreReal(t *testing.T) {
	g, _ := alignGoldens(t)
	got := runNet(t, alignscore{}, alignDir(t), realPairs(t, g.Lines, len(g.Real)))
	d, at := farthest(got, g.Real)
	t.Logf("%d pairs within %.1e", len(got), d)
	if d > alignTolerance {
		t.Errorf("pair %d: %v; want %v", at, got[at], g.Real[at])
	}
}

// TestAlignChunks: the example of more chunks than meant.
func TestAlignChunks(t *testing.T) {
	p, err := punkt.English()
	if err != nil {
		t.Fatal(err)
	}
	b := book()
	if n := len(strings.Fields(b)); n != 1301 {
		t.Fatalf("%d words", n)
	}
	chunks := alignChunks(p.Sentences(b), b)
	if len(chunks) != 5 || strings.Count(chunks[0], ".") != 23 || strings.Count(chunks[4], ".") != 2 {
		t.Errorf("%d chunks: %q", len(chunks), chunks)
	}
	if c := alignChunks(nil, " "); !slices.Equal(c, []string{""}) {
		t.Errorf("no sentence makes the chunks %q", c)
	}
}

// TestAlignScoreMutants: mistakes that a reader of AlignScore could make fall outside the tolerance.
func TestAlignScoreMutants(t *testing.T) {
	_, want := alignGoldens(t)
	all := slices.Concat(hostilePairs(), alignPairs())
	short, long, sentences, beside := []int{5, 6, 7, 8, 9}, []int{22}, []int{28}, []int{24} // of all
	dir := alignDir(t)
	p, err := punkt.English()
	if err != nil {
		t.Fatal(err)
	}
	score := func(which []int, cut func(ref, caption string) *alignPair, change func(m *alignModel, p *alignPair, texts []encoders.Text)) float64 {
		in := inputOf(nil)
		m, err := alignscore{}.open(in.ctx, dir, false)
		if err != nil {
			t.Fatal(err)
		}
		defer m.close()
		d := 0.0
		for _, i := range which {
			x := all[i]
			pair := cut(x[0], x[1])
			texts := m.texts(pair)
			change(m, pair, texts)
			logits, err := m.e.Logits(in.ctx, texts, nil)
			if err != nil {
				t.Fatal(err)
			}
			d = max(d, math.Abs(pair.score(func(i int) float64 { return firstShare(logits[i]) })-want[i]))
		}
		return d
	}
	asIs := func(ref, caption string) *alignPair { return newAlignPair(p, ref, caption) }
	keep := func(*alignModel, *alignPair, []encoders.Text) {}
	if d := score(slices.Concat(short, long, sentences, beside), asIs, keep); d > alignTolerance {
		t.Errorf("unchanged it is off by %v", d)
	}
	for what, d := range map[string]float64{
		"caption as the context": score(short, func(ref, caption string) *alignPair { return asIs(caption, ref) }, keep),
		"one chunk": score(long, func(ref, caption string) *alignPair {
			x := asIs(ref, caption)
			x.chunks = []string{strings.Join(x.chunks, " ")}
			return x
		}, keep),
		"caption whole": score(sentences, func(ref, caption string) *alignPair {
			x := asIs(ref, caption)
			if len(x.claims) > 0 {
				x.claims = []string{caption}
			}
			return x
		}, keep),
		"one </s> between": score(short, asIs, func(m *alignModel, _ *alignPair, texts []encoders.Text) {
			for i, x := range texts {
				at := slices.Index(x.IDs, m.end)
				texts[i].IDs = slices.Delete(slices.Clone(x.IDs), at, at+1)
			}
		}),
		"sentences that are too long judged alone": score(beside, asIs, func(m *alignModel, p *alignPair, texts []encoders.Text) {
			for i := range texts {
				one := &alignPair{chunks: p.chunks[i/len(p.claims):][:1], claims: p.claims[i%len(p.claims):][:1]}
				texts[i] = m.texts(one)[0]
			}
		}),
	} {
		if d <= 10*alignTolerance {
			t.Errorf("%s: moves nothing by more than %v", what, d)
		}
	}
}

func TestAlignScoreTiny(t *testing.T) {
	testTiny(t, alignscore{}, AlignScore())
	testTiny(t, alignscore{AlignScoreOptions{File: "AlignScore-large.ckpt"}}, AlignScore(AlignScoreOptions{File: "AlignScore-large.ckpt", Tokenizer: "not/there"}))
}

// TestAlignScoreFiles: where the tokenizer is found, and what is said where it is not.
func TestAlignScoreFiles(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("HF_HUB_CACHE", cache)
	put := func(path string) string {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	dir := t.TempDir()
	fails := func(a alignscore, path, want string) {
		t.Helper()
		if _, err := a.files(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want %q", err, want)
		}
	}
	is := func(a alignscore, path string, want ...string) {
		t.Helper()
		if got, err := a.files(path); err != nil || !slices.Equal(got, want) {
			t.Errorf("files %q, %v; want %q", got, err, want)
		}
	}
	fails(alignscore{}, dir, "lacks AlignScore-base.ckpt (and has no other .ckpt)")
	large := put(filepath.Join(dir, "AlignScore-large.ckpt"))
	fails(alignscore{}, dir, "AlignScore needs RoBERTa's tokenizer, which a .ckpt does not hold: put roberta-base's tokenizer.json")
	fails(alignscore{AlignScoreOptions{Tokenizer: "some/where"}}, dir, "hf download some/where")
	cached := put(filepath.Join(cache, "models--roberta-large", "snapshots", "abc", "tokenizer.json"))
	is(alignscore{}, dir, large, cached)
	base := put(filepath.Join(dir, "AlignScore-base.ckpt"))
	is(alignscore{}, dir, base, cached)
	is(alignscore{}, large, large, cached)
	fails(alignscore{AlignScoreOptions{File: "AlignScore.ckpt"}}, dir, "lacks AlignScore.ckpt; it has AlignScore-base.ckpt, AlignScore-large.ckpt, which File in AlignScoreOptions can name")
	beside, config := put(filepath.Join(dir, "tokenizer.json")), put(filepath.Join(dir, "config.json"))
	is(alignscore{}, dir, base, beside, config)
	is(alignscore{AlignScoreOptions{Tokenizer: filepath.Dir(cached)}}, dir, base, cached)
}

// TestAlignConfig: heads of 64 without a configuration, and its own where the sizes are those of the tensors.
func TestAlignConfig(t *testing.T) {
	w := safetensors.New("a.ckpt")
	put := func(name string, shape ...int) {
		if err := w.Put(safetensors.Info{Name: "base_model." + name, DType: safetensors.F32, Shape: shape}, make([]byte, 4*shape[0]*shape[1])); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "config.json")
	if _, err := alignConfig(w, path); err == nil || !strings.Contains(err.Error(), "no checkpoint of AlignScore") {
		t.Errorf("no tensors: %v", err)
	}
	put("embeddings.word_embeddings.weight", 300, 128)
	put("embeddings.position_embeddings.weight", 514, 128)
	put("embeddings.token_type_embeddings.weight", 1, 128)
	put("encoder.layer.0.intermediate.dense.weight", 512, 128)
	for i := range 12 {
		put(fmt.Sprintf("encoder.layer.%d.output.dense.weight", i), 128, 512)
	}
	c, err := alignConfig(w, path)
	if err != nil || c.NumHiddenLayers != 12 || c.NumAttentionHeads != 2 || c.LayerNormEps != 1e-5 || c.Longest() != 512 || c.IntermediateSize != 512 || c.VocabSize != 300 {
		t.Errorf("%+v, %v", c, err)
	}
	write := func(hidden int) {
		text := fmt.Sprintf(`{"model_type":"roberta","vocab_size":300,"hidden_size":%d,"num_attention_heads":8,"intermediate_size":512,"max_position_embeddings":514,"type_vocab_size":1}`, hidden)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(256)
	if c, err := alignConfig(w, path); err != nil || c.NumAttentionHeads != 2 {
		t.Errorf("a configuration of another size counts: %+v, %v", c, err)
	}
	write(128)
	if c, err := alignConfig(w, path); err != nil || c.NumAttentionHeads != 8 {
		t.Errorf("the configuration does not count: %+v, %v", c, err)
	}
}

func TestAlignScoreErrors(t *testing.T) {
	if os.Getenv("LIGHTBOX_ALIGNSCORE") != "" {
		t.Skip("writes into the checkpoint")
	}
	dir := alignDir(t)
	big, err := tokenizer.TrainBPE(slices.Values([]string{tinyText, tinyText}), tokenizer.TrainOptions{ByteLevel: true, VocabSize: 400, Added: []string{"<s>", "</s>", strings.Repeat("x", 9)}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 400 { // more tokens than the checkpoint has
		big.Tokenizer = []byte(strings.Replace(string(big.Tokenizer), `"added_tokens":[`, fmt.Sprintf(`"added_tokens":[{"id":%d,"content":"<%d>","special":true},`, 500+i, i), 1))
	}
	if err := big.Write(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := (alignscore{}).run(inputOf(nil), dir); err == nil || !strings.Contains(err.Error(), "tokenizer of another model?") {
		t.Errorf("another tokenizer: %v", err)
	}
}
