package modeltest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
)

// WriteForReference writes, where LIGHTBOX_REFERENCE_OUT names a directory, the saved checkpoints of all cases and a
// Tiny one, each with expect.json: an example's ids, text and last logits. A family's testdata/check_saved.py, of LLaVA clipllama's, loads them
// with the reference implementation:
//
//	LIGHTBOX_REFERENCE_OUT=/tmp/saved go test -run TestWriteForReference . && python testdata/check_saved.py /tmp/saved
func WriteForReference(t *testing.T, f Family) {
	out := os.Getenv("LIGHTBOX_REFERENCE_OUT")
	if out == "" {
		t.Skip("LIGHTBOX_REFERENCE_OUT is not set: nothing to write for the reference")
	}
	for _, name := range f.Cases {
		m := f.Load(t, name)
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
			writeExpected(t, f, m, filepath.Join(out, name+"-"+dt.String()), dt, Read(t, name).Examples[0])
		}
	}
	if f.Tiny != nil {
		dir := t.TempDir()
		if err := f.Tiny(dir); err != nil {
			t.Fatal(err)
		}
		m, err := f.Init(t.Context(), dir, 1)
		if err != nil {
			t.Fatal(err)
		}
		WriteExpected(t, f, m, "tiny")
	}
}

// WriteExpected writes one more model where WriteForReference, called before, writes, with the first example of the first case.
func WriteExpected(t *testing.T, f Family, m model.Model, name string) {
	t.Helper()
	writeExpected(t, f, m, filepath.Join(os.Getenv("LIGHTBOX_REFERENCE_OUT"), name), tensor.F32, Read(t, f.Cases[0]).Examples[0])
}

func writeExpected(t *testing.T, f Family, m model.Model, dir string, dt tensor.DType, e Example) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.Save(dir, dt); err != nil {
		t.Fatal(err)
	}
	back, err := f.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	s := Encode(t, back, e, false)
	h := back.Hidden(&model.Batch{Samples: []*model.Sample{s}, Tail: []int{1}})
	raw, err := json.Marshal(map[string]any{"ids": s.IDs, "text": s.Text, "prompt": e.Prompt, "image": e.Image,
		"logits": ops.Floats(back.Logits(h)), "pixels": Digest(s.Pixels)})
	if err != nil {
		t.Fatal(err)
	}
	Put(t, filepath.Join(dir, "expect.json"), raw)
}
