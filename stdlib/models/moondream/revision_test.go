package moondream

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/stdlib/internal/modeltest"
)

// cached puts the checkpoint of a case where a Hugging Face cache would, under the tags given.
func cached(t *testing.T, name string, tags ...string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "hub", "models--vikhyatk--moondream2")
	dir := filepath.Join(root, "snapshots", "0123abcd")
	for _, d := range []string{filepath.Dir(dir), filepath.Join(root, "refs")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(family.Checkpoint(t, name), dir); err != nil {
		t.Fatal(err)
	}
	for _, tag := range append(tags, "main") {
		modeltest.Put(t, filepath.Join(root, "refs", tag), []byte("0123abcd\n"))
	}
	modeltest.Put(t, filepath.Join(root, "refs", "2024-03-06"), []byte("ffff"))
	return dir
}

// TestRevision: each revision is told from configuration, weights and tokenizer, or taken from the cache's tags.
func TestRevision(t *testing.T) {
	for _, c := range []struct {
		name, tag string
		drop      string // of config.json
		want      string // "" an error
		error     string
	}{
		{name: "single", want: "2024-04-02"},
		{name: "single", tag: "2024-04-02", want: "2024-04-02"},
		{name: "single", tag: "2024-08-26", error: `the revision in the Hugging Face cache is "2024-08-26"; config.json has phi_config, the key of 2024-04-02`},
		{name: "single", tag: "2025-06-21", error: `the revision in the Hugging Face cache is "2025-06-21"; config.json is that of 2024-04-02`},
		{name: "single", tag: "2024-03-13", error: "the revisions of March 2024 are not supported"},
		{name: "single", tag: "2026-01-01", error: `is "2026-01-01"; known revisions: 2024-04-02, 2024-05-08`},
		{name: "may", want: "2024-05-08"},
		{name: "may", drop: "revision", want: "2024-05-08"}, // by the shape of the projector alone
		{name: "may", drop: "revision", tag: "2024-08-26", error: `the revision is 2024-08-26; tensor "vision_encoder.projection.mlp.fc1.weight" has shape [36 20], that of 2024-05-08`},
		{name: "tiles", want: "2024-08-26"},
		{name: "tiles", tag: "2024-05-20", want: "2024-05-20"},
		{name: "tiles", tag: "2024-05-08", error: `the revision is 2024-05-08; tensor "vision_encoder.projection.mlp.fc1.weight" has shape [44 48], that of 2024-08-26`},
		{name: "overlap", want: "2025-06-21"},
		{name: "overlap", tag: "2025-04-14", error: "the revision is 2025-04-14; config.json's tokenizer.bos_id is 0, of another one"},
		{name: "april", want: "2025-04-14"},
		{name: "april", tag: "2025-01-09", want: "2025-01-09"},
		{name: "april", tag: "2025-06-21", error: "of another one"},
	} {
		var tags []string
		if c.tag != "" {
			tags = []string{c.tag}
		}
		dir := cached(t, c.name, tags...)
		if c.drop != "" {
			modeltest.Replace(t, filepath.Join(dir, "config.json"), `"`+c.drop+`"`, `"was"`)
		}
		m, err := Open(context.Background(), dir)
		switch {
		case c.want == "":
			if err == nil || !strings.Contains(err.Error(), c.error) {
				t.Errorf("%s as %s: got %v; want %q", c.name, c.tag, err, c.error)
			}
		case err != nil:
			t.Errorf("%s as %s: %v", c.name, c.tag, err)
		default:
			if got := m.Info().Preprocessing["revision"]; got != c.want {
				t.Errorf("%s as %s: revision %s; want %s", c.name, c.tag, got, c.want)
			}
			if err := Check(dir); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestTokens2025: without tokens in config.json, as published, the tokenizer tells the templates; the code that lies
// beside the weights may fetch another.
func TestTokens2025(t *testing.T) {
	published := func(dir, vocab string) { // of the configuration: no tokens, and the vocabulary
		modeltest.Replace(t, filepath.Join(dir, "config.json"), `"tokenizer"`, `"was"`)
		modeltest.Replace(t, filepath.Join(dir, "config.json"), `"vocab_size": `+vocab, `"vocab_size": 51200`)
	}
	open := func(dir string) (*Model, error) {
		m, err := Init(context.Background(), dir, 1)
		if err != nil {
			return nil, err
		}
		return m.(*Model), nil
	}
	dir := cached(t, "overlap")
	published(dir, "343")
	m, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if tk := m.cfg.Tokens; m.cfg.Revision != "2025-06-21" || tk.BOS != 0 || tk.Answer != 3 || tk.Templates.Query.Prefix[1] != 15381 || m.Info().Barred[0] != 3 {
		t.Errorf("%s %+v", m.cfg.Revision, tk)
	}
	dir = cached(t, "april")
	published(dir, "344")
	if m, err = open(dir); err != nil {
		t.Fatal(err)
	}
	if tk := m.cfg.Tokens; m.cfg.Revision != "2025-04-14" || tk.BOS != 50256 || tk.Answer >= 0 || tk.Templates.Query.Prefix[2] != 24361 || m.Info().Barred != nil {
		t.Errorf("%s %+v", m.cfg.Revision, tk)
	}
	modeltest.Put(t, filepath.Join(dir, "moondream.py"), []byte(`self.tokenizer = Tokenizer.from_pretrained("moondream/starmie-v1")`))
	if _, err = open(dir); err == nil || !strings.Contains(err.Error(), "put its tokenizer.json into "+dir) {
		t.Error(err)
	}
}

// TestErrors are those of configurations and files that the family does not support.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ config, want string }{
		{`{"phi_config":{"num_key_value_heads":8}}`, "phi_config: num_key_value_heads is 8; want num_attention_heads 32"},
		{`{"text_config":{"rope_scaling":{"type":"linear","factor":2.0}}}`, "text_config: rope_scaling is map[factor:2 type:linear]; only null is supported"},
		{`{"phi_config":{"qk_layernorm":true}}`, "qk_layernorm is true"},
		{`{"phi_config":{"tie_word_embeddings":true}}`, "tie_word_embeddings is true"},
		{`{"phi_config":{"resid_pdrop":0.1}}`, "resid_pdrop, embd_pdrop and attention_dropout are 0.1, 0 and 0; only 0 is supported"},
		{`{"phi_config":{"hidden_act":"gulu"}}`, `hidden_act: unknown activation "gulu"`},
		{`{"phi_config":{"hidden_size":30,"num_attention_heads":4}}`, "hidden_size 30 is not a multiple of num_attention_heads 4"},
		{`{"phi_config":{"partial_rotary_factor":0}}`, "0 elements of a head of 64 turn"},
		{`{"vision_config":{"crop_size":380}}`, "crop_size 380 is not a multiple of enc_patch_size 14"},
		{`{"vision_config":{"enc_n_heads":0}}`, "enc_n_heads is 0; want at least 1"},
		{`{"revision":"2024-04-01"}`, `config.json's revision is "2024-04-01"; known revisions: 2024-04-02`},
		{`{"architectures":["HfMoondream"],"config":{"text":{"n_heads":16,"n_kv_heads":16}}}`, "text.dim 2048 and text.n_heads 16 make heads of 128; the code turns 32 elements and wants heads of 64"},
		{`{"architectures":["HfMoondream"],"config":{"text":{"group_size":128}}}`, "text.group_size is 128: quantised weights are not supported"},
		{`{"architectures":["HfMoondream"],"config":{"vision":{"enc_n_layers":26}}}`, "vision.enc_n_layers is 26 and a crop has 27 patches in a row"},
		{`{"architectures":["HfMoondream"],"config":{"vision":{"overlap_margin":14}}}`, "overlap_margin is 14 patches; a crop has 27 in a row"},
		{`{"architectures":["HfMoondream"],"config":{"vision":{"proj_out_dim":1024}}}`, "vision.proj_out_dim is 1024; want text.dim 2048"},
		{`{"architectures":["HfMoondream"],"config":{"tokenizer":{"templates":{"query":null}}}}`, "templates.query is null"},
	} {
		if _, err := New([]byte(c.config)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v; want %q", c.config, err, c.want)
		}
	}
	dir := cached(t, "single")
	modeltest.Replace(t, filepath.Join(dir, "tokenizer_config.json"), "bos_token", "was")
	if _, err := Open(context.Background(), dir); err == nil || !strings.Contains(err.Error(), "the tokenizer names no bos_token") {
		t.Error(err)
	}
	dir = cached(t, "overlap")
	modeltest.Replace(t, filepath.Join(dir, "config.json"), `HfMoondream`, "Moondream")
	if _, err := Open(context.Background(), dir); err == nil || !strings.Contains(err.Error(), "is one of 2025: the class is HfMoondream, not Moondream") {
		t.Error(err)
	}
}
