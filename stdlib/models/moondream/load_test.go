package moondream_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/kernels/tensor"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/models/moondream"
)

// published are the configurations of the hub, which hold hardly anything.
var published = map[string]string{
	"2024-04-02": `{"architectures":["Moondream"],"model_type":"moondream1","phi_config":{"model_type":"phi"},"torch_dtype":"float16"}`,
	"2024-08-26": `{"architectures":["Moondream"],"model_type":"moondream1","text_config":{"model_type":"phi"},"torch_dtype":"float16"}`,
	"2025-06-21": `{"architectures":["HfMoondream"],"model_type":"moondream1","config":{},"torch_dtype":"bfloat16"}`,
}

// TestPublishedCount counts the published checkpoints from their configurations, by tower, the region model left out (2025's
// has 60,317,312 parameters more: 1.93 B).
func TestPublishedCount(t *testing.T) {
	for revision, want := range map[string][4]string{
		"2024-04-02": {"1,857,482,608", "1,418,270,720", "412,987,248", "26,224,640"},
		"2024-08-26": {"1,866,919,792", "1,418,270,720", "412,987,248", "35,661,824"},
		"2025-06-21": {"1,866,919,792", "1,418,270,720", "412,987,248", "35,661,824"},
	} {
		m, err := moondream.New([]byte(published[revision]))
		if err != nil {
			t.Fatal(err)
		}
		by := map[model.Tower][]model.Param{}
		for _, p := range m.Params() {
			by[p.Tower] = append(by[p.Tower], p)
		}
		got := [4]string{model.Count(m.Params()), model.Count(by[model.Language]), model.Count(by[model.Vision]), model.Count(by[model.Connector])}
		if got != want {
			t.Errorf("%s: %v; want %v", revision, got, want)
		}
		if i := m.Info(); i.ImageTokens != 729 || i.Context != 2048 || i.Vocab != 51200 {
			t.Errorf("%s: %+v", revision, i)
		}
	}
}

// TestAdapterCount: the paper's Table 3 has 74.4 M for rank 64, which its named targets give on 2024-04-02; later in 2024 they are 74.5 M.
func TestAdapterCount(t *testing.T) {
	targets := lora.Config{Rank: 64, Alpha: 128, TargetModules: []string{"Wqkv", "out_proj", "fc1", "fc2", "proj"}}
	for revision, want := range map[string]int64{"2024-04-02": 74_422_272, "2024-08-26": 74_496_000} {
		m, err := moondream.New([]byte(published[revision]))
		if err != nil {
			t.Fatal(err)
		}
		p, err := lora.Resolve(m, targets)
		if err != nil {
			t.Fatal(err)
		}
		if p.Params != want {
			t.Errorf("%s: %d parameters of adapters; want %d", revision, p.Params, want)
		}
	}
}

// TestLoadPinned loads "org/name@revision" through the refs of a Hugging Face cache.
func TestLoadPinned(t *testing.T) {
	home, files := t.TempDir(), t.TempDir()
	t.Setenv("HF_HOME", home)
	root := filepath.Join(home, "hub", "models--vikhyatk--moondream2")
	dir := filepath.Join(root, "snapshots", "92d3d73b6fd61ab84d9fe093a9c7fd8c04bfd7c0")
	for _, d := range []string{dir, filepath.Join(root, "refs")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := moondream.Tiny(files); err != nil {
		t.Fatal(err)
	}
	m, err := moondream.Init(context.Background(), files, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Save(dir, tensor.BF16); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "refs", "2024-04-02"), []byte(filepath.Base(dir)), 0o644); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{"vikhyatk/moondream2@2024-04-02": "", "vikhyatk/moondream2@2024-08-26": `has no revision "2024-08-26" in the Hugging Face cache`} {
		var errs []string
		for _, r := range models.Load(ref).Refs() {
			for _, err := range r.Errors() {
				errs = append(errs, err.Error())
			}
		}
		if got := strings.Join(errs, "\n"); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q; want %q", ref, got, want)
		}
	}
	back, err := moondream.Open(context.Background(), dir)
	if err != nil || back.Info().Preprocessing["revision"] != "2024-04-02" {
		t.Error(back, err)
	}
}
