package llava

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/clipllama"
	"lightbox/stdlib/models/model"
)

// TestWriteForTransformers writes saved checkpoints and their logits for
// testdata/check_saved.py, which loads them with transformers:
//
//	LIGHTBOX_REFERENCE_OUT=/tmp/saved go test -run TestWriteForTransformers . && python testdata/check_saved.py /tmp/saved
func TestWriteForTransformers(t *testing.T) {
	out := os.Getenv("LIGHTBOX_REFERENCE_OUT")
	if out == "" {
		t.Skip("LIGHTBOX_REFERENCE_OUT is not set: nothing to write for transformers")
	}
	for _, name := range cases {
		g, m := readGolden(t, name), load(t, name)
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
			dir := filepath.Join(out, name+"-"+dt.String())
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := m.Save(dir, dt); err != nil {
				t.Fatal(err)
			}
			back, err := Open(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			s := encode(t, back.(*clipllama.Model), g, 0, false)
			h := back.Hidden(&model.Batch{Samples: []*model.Sample{s}, Tail: []int{1}})
			raw, err := json.Marshal(map[string]any{"ids": s.IDs, "text": s.Text, "image": g.Examples[0].Image,
				"logits": ops.Floats(back.Logits(h)), "pixels": s.Pixels[:64]})
			if err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(dir, "expect.json"), raw)
		}
	}
}
