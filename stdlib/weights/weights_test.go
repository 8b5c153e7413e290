package weights

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/stdlib/safetensors"
)

func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func torch(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "torchfile", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestPreference adds files in the order in which they win over those that are there.
func TestPreference(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), dir+" lacks its weights; any of these would do: model.safetensors, model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json") {
		t.Fatal(err)
	}
	one := func(name string) {
		err := safetensors.Write(filepath.Join(dir, name), []safetensors.Tensor{safetensors.Float32(name, safetensors.F32, []int{1}, []float32{1})}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	index := func(name string, shards map[string]string) {
		raw, _ := json.Marshal(map[string]any{"weight_map": shards})
		put(t, filepath.Join(dir, name), raw)
	}
	check := func(path string, names, files []string) {
		t.Helper()
		a, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if a.Path() != path && filepath.Dir(a.Path()) != path && a.Path() != filepath.Dir(path) || !slices.Equal(a.Names(), names) {
			t.Errorf("%s has %v; want %v", a.Path(), a.Names(), names)
		}
		got, err := Files(path)
		for i := range got {
			got[i] = filepath.Base(got[i])
		}
		if err != nil || !slices.Equal(got, files) {
			t.Errorf("files %v, %v; want %v", got, err, files)
		}
	}
	four := []string{"base.transposed", "embed.weight", "half", "head.weight"}

	put(t, filepath.Join(dir, "pytorch_model.bin"), torch(t, "wrapped.ckpt"))
	check(dir, four, []string{"pytorch_model.bin"})
	check(filepath.Join(dir, "pytorch_model.bin"), four, []string{"pytorch_model.bin"})

	put(t, filepath.Join(dir, "pytorch_model-00001-of-00002.bin"), torch(t, "wrapped.ckpt"))
	put(t, filepath.Join(dir, "pytorch_model-00002-of-00002.bin"), torch(t, "nested.pt"))
	shards := map[string]string{"encoder.w": "pytorch_model-00002-of-00002.bin", "decoder.w": "pytorch_model-00002-of-00002.bin"}
	for _, n := range four {
		shards[n] = "pytorch_model-00001-of-00002.bin"
	}
	index("pytorch_model.bin.index.json", shards)
	six := append([]string{"base.transposed", "decoder.w"}, "embed.weight", "encoder.w", "half", "head.weight")
	files := []string{"pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json"}
	check(dir, six, files)
	check(filepath.Join(dir, "pytorch_model.bin.index.json"), six, files)

	one("model.safetensors")
	check(dir, []string{"model.safetensors"}, []string{"model.safetensors"})
	one("s1.safetensors")
	index("model.safetensors.index.json", map[string]string{"s1.safetensors": "s1.safetensors"})
	check(dir, []string{"s1.safetensors"}, []string{"model.safetensors.index.json", "s1.safetensors"})
}

// TestErrors: each names the file.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	index := filepath.Join(dir, "pytorch_model.bin.index.json")
	put(t, filepath.Join(dir, "a.bin"), torch(t, "nested.pt"))
	put(t, filepath.Join(dir, "b.bin"), torch(t, "nested.pt"))
	put(t, filepath.Join(dir, "short.bin"), torch(t, "zip.bin")[:700])
	put(t, filepath.Join(dir, "empty.pth"), nil)
	for _, c := range [][2]string{
		{`{"weight_map":{"encoder.w":"a.bin","other":"a.bin"}}`, "a.bin: lacks 1 tensors that the index places in it: other"},
		{`{"weight_map":{"encoder.w":"a.bin","decoder.w":"b.bin"}}`, `b.bin: tensor "decoder.w" stands in ` + filepath.Join(dir, "a.bin") + " too"},
		{`{"weight_map":{"encoder.w":"gone.bin"}}`, "gone.bin: no such file"},
		{`{"weight_map":{"encoder.w":"short.bin"}}`, "short.bin: is a damaged zip archive"},
		{`{"weight_map":{"encoder.w":"../a.bin"}}`, "lies outside the directory"},
	} {
		put(t, index, []byte(c[0]))
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: got %v\nwant %q", c[0], err, c[1])
		}
	}
	put(t, index, []byte(`{"weight_map":{"x":"gone1.bin","y":"gone2.bin","z":"a.bin"}}`))
	if files, err := Files(dir); len(files) != 2 || err == nil || !strings.Contains(err.Error(), "lacks gone1.bin") || !strings.Contains(err.Error(), "lacks gone2.bin") {
		t.Error(files, err)
	}
	for _, c := range [][2]string{
		{"none.bin", "none.bin: no such file"},
		{"empty.pth", "empty.pth: begins with , neither a zip archive"},
	} {
		if _, err := Open(filepath.Join(dir, c[0])); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: got %v\nwant %q", c[0], err, c[1])
		}
	}
}

// TestAnyName: a file is known by how it begins.
func TestAnyName(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []string{"zip.bin", "legacy.pth", "golden.safetensors"} {
		path := filepath.Join(dir, "weights"+c+".data")
		put(t, path, torch(t, c))
		a, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Names()) != 19 {
			t.Errorf("%s has %v", c, a.Names())
		}
		a.Close()
	}
}

// TestSafeByAnotherName: a file of safetensors that is called as torch's are, as MedImageInsight's is.
func TestSafeByAnotherName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model-v1.0.0.pt")
	if err := safetensors.Write(path, []safetensors.Tensor{safetensors.Float32("a", safetensors.F32, []int{1}, []float32{7})}, nil); err != nil {
		t.Fatal(err)
	}
	a, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if got, err := a.Floats("a"); err != nil || got[0] != 7 {
		t.Error(got, err)
	}
}
