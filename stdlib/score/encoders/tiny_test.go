package encoders

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestTinyDeBERTa: the same bytes every time, a tokenizer that knows captions' words, hidden states that differ. With
// LIGHTBOX_REFERENCE_OUT it leaves the checkpoint there for testdata/check_tiny.py.
func TestTinyDeBERTa(t *testing.T) {
	dir, again := t.TempDir(), t.TempDir()
	if out := os.Getenv("LIGHTBOX_REFERENCE_OUT"); out != "" {
		dir = filepath.Join(out, "tiny-deberta")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{dir, again} {
		if err := TinyDeBERTa(d); err != nil {
			t.Fatal(err)
		}
	}
	files, err := Files(again)
	if err != nil || len(files) != 5 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		a, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(dir, filepath.Base(f))); err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s has other bytes the second time (%v)", filepath.Base(f), err)
		}
	}
	e, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	const caption = "axial ct of the chest shows a mass of number cm in the right lung – naïve"
	ids := e.Tok.Encode(caption, true)
	cls, _ := e.Tok.Special("cls_token")
	sep, _ := e.Tok.Special("sep_token")
	if len(ids) > 40 || cls != 1 || sep != 2 || ids[0] != cls || ids[len(ids)-1] != sep {
		t.Errorf("%d tokens, [CLS] %d, [SEP] %d: %v", len(ids), cls, sep, ids)
	}
	h, err := e.Hidden(context.Background(), []Text{{IDs: ids}}, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := slices.Collect(slices.Chunk(h[0], e.Config.HiddenSize))
	cos := func(a, b []float32) float64 {
		var x, y, z float64
		for i := range a {
			x, y, z = x+float64(a[i]*b[i]), y+float64(a[i]*a[i]), z+float64(b[i]*b[i])
		}
		return x / math.Sqrt(y*z)
	}
	if c := cos(rows[1], rows[5]); c > 0.9 || c < -0.9 {
		t.Errorf("two words' hidden states have the cosine %g", c)
	}
	if os.Getenv("LIGHTBOX_REFERENCE_OUT") != "" {
		raw, err := json.Marshal(map[string]any{"text": caption, "ids": ids, "hidden": rows})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "expected.json"), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
