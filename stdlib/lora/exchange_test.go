package lora

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/idefics3"
	"lightbox/stdlib/models/llava"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/models/qwenvl"
	"lightbox/stdlib/safetensors"
)

// exchange is one run of exchange_golden.json: what PEFT writes of a kind of adapter, and what the model then says.
type exchange struct {
	Config  json.RawMessage
	Tensors [][2]any // name, shape
	Logits  []float64
}

// exchanged are make_exchange_golden.py's models.
var exchanged = map[string]struct {
	model.Family
	path string
}{
	"llava":    {llava.Family(), "../models/llava/testdata/grouped"},
	"qwen2":    {qwenvl.Qwen2(), "../models/qwenvl/testdata/qwen2"},
	"grouped3": {idefics3.Family(), "../models/idefics3/testdata/grouped"},
}

func exchangeModel(t testing.TB, name string) model.Model {
	t.Helper()
	x := exchanged[name]
	return modeltest.Family{Family: x.Family}.Load(t, x.path)
}

func readExchange(t testing.TB) map[string]exchange {
	t.Helper()
	raw, err := os.ReadFile("testdata/exchange_golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct{ Runs map[string]exchange }
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g.Runs
}

// write makes the PEFT directory of a run: its tensors' numbers are those that the script drew.
func (x exchange) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	var out []safetensors.Tensor
	for _, nameShape := range x.Tensors {
		name := nameShape[0].(string)
		var shape []int
		n := 1
		for _, d := range nameShape[1].([]any) {
			shape = append(shape, int(d.(float64)))
			n *= int(d.(float64))
		}
		out = append(out, safetensors.Float32(name, safetensors.F32, shape, drawn(name, n)))
	}
	config, weights := files(dir)
	if err := safetensors.Write(weights, out, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	modeltest.Put(t, config, x.Config)
	return dir
}

// drawn is the script's function "numbers".
func drawn(name string, n int) []float32 {
	v := modeltest.Hashed(name, n)
	for i := range v {
		if strings.Contains(name, "lora_magnitude") {
			v[i] = 1 + 0.25*v[i]
		} else {
			v[i] *= 0.2
		}
	}
	return v
}

// says are the first logits behind an example's prompt.
func says(t testing.TB, m model.Model, withImage bool) []float32 {
	t.Helper()
	s := question(t, m, withImage)
	return ops.Floats(m.Logits(m.Hidden(&model.Batch{Samples: []*model.Sample{s}, Tail: []int{1}})))
}

func question(t testing.TB, m model.Model, withImage bool) *model.Sample {
	t.Helper()
	in := model.Input{Prompt: "Which side?"}
	if withImage {
		in.Image = modeltest.Picture([]int{2, 31, 57})
	}
	s, err := m.Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// furthest is the largest distance of want from the numbers in front of got.
func furthest(got []float32, want []float64) float64 {
	worst := 0.0
	for i, w := range want {
		worst = max(worst, math.Abs(float64(got[i])-w))
	}
	return worst
}

// TestReadsEveryKind reads what PEFT 0.21.2 writes of every kind of adapter under transformers 5.23 and 4.49, whose module
// paths differ: the model says what PEFT's says. What is written again, in any layout, and read back says the same bits.
func TestReadsEveryKind(t *testing.T) {
	runs := readExchange(t)
	models := map[string]model.Model{}
	for name := range exchanged {
		models[name] = exchangeModel(t, name)
	}
	for _, name := range slices.Sorted(maps.Keys(runs)) {
		run := runs[name]
		t.Run(name, func(t *testing.T) {
			parts := strings.Split(name, "/")
			base := models[parts[1]]
			withImage := parts[0] == "5" || parts[1] == "llava" // 4.49's own processors are not this test's business
			dir := run.write(t)
			m := base.Share()
			if err := Attach(t.Context(), m, dir); err != nil {
				t.Fatal(err)
			}
			got := says(t, m, withImage)
			d := furthest(got, run.Logits)
			if t.Logf("logits within %.1e", d); d > modeltest.Tolerance {
				t.Errorf("logits differ by %v", d)
			}
			if moved := furthest(says(t, base.Share(), withImage), run.Logits); moved < 0.05 {
				t.Errorf("the adapter moves the logits by %v only: it tests nothing", moved)
			}
			a, err := Read(t.Context(), base.Share(), dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range []model.Layout{model.Layout5, model.Layout452, model.LayoutHub} {
				again := t.TempDir()
				if err := a.SaveAs(again, "", l); err != nil {
					t.Fatal(err)
				}
				back := base.Share()
				if err := Attach(t.Context(), back, again); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(says(t, back, withImage), got) {
					t.Errorf("written in layout %q and read back it says something else", l)
				}
				if own := map[string]model.Layout{"5": model.Layout5, "4.49": model.LayoutHub}[parts[0]]; own == l {
					sameNames(t, again, run)
				}
			}
			merged := base.Share()
			if err := Attach(t.Context(), merged, dir); err != nil {
				t.Fatal(err)
			}
			if _, err := merge(merged); err != nil {
				t.Fatal(err)
			}
			if d := furthest(says(t, merged, withImage), run.Logits); d > modeltest.Tolerance {
				t.Errorf("merged logits differ by %v", d)
			}
		})
	}
}

// sameNames: what SaveAs writes has the very names that PEFT gave.
func sameNames(t *testing.T, dir string, run exchange) {
	t.Helper()
	_, weights := files(dir)
	f, err := safetensors.Open(weights)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var want []string
	for _, x := range run.Tensors {
		want = append(want, x[0].(string))
	}
	slices.Sort(want)
	if got := f.Names(); !slices.Equal(got, want) {
		t.Errorf("names\n%v\nPEFT's\n%v", got, want)
	}
}

// A tensor less, one more, one of another name: each is an error that names it, for every kind.
func TestEveryTensorCounts(t *testing.T) {
	runs := readExchange(t)
	for _, name := range []string{"5/llava/everything", "5/qwen2/everything"} {
		run := runs[name]
		m := exchangeModel(t, strings.Split(name, "/")[1])
		for i, x := range run.Tensors {
			short := run
			short.Tensors = slices.Delete(slices.Clone(run.Tensors), i, i+1)
			missing := x[0].(string)
			if err := Attach(t.Context(), m.Share(), short.write(t)); err == nil && !strings.HasSuffix(missing, ".bias") {
				t.Errorf("%s: without %s it is accepted", name, missing)
			}
			odd := run
			odd.Tensors = slices.Clone(run.Tensors)
			odd.Tensors[i] = [2]any{strings.Replace(missing, "base_model.model.", "base_model.model.no.", 1), x[1]}
			if err := Attach(t.Context(), m.Share(), odd.write(t)); err == nil || !strings.Contains(err.Error(), "base_model.model.no.") {
				t.Errorf("%s: %s under another name: %v", name, missing, err)
			}
		}
	}
}

// TestWriteForExchange writes what testdata/make_exchange_golden.py (under transformers 4.49) and check_exchange.py read:
//
//	LIGHTBOX_REFERENCE_OUT=/tmp/exchange go test -run TestWriteForExchange . && python testdata/check_exchange.py /tmp/exchange
func TestWriteForExchange(t *testing.T) {
	out := os.Getenv("LIGHTBOX_REFERENCE_OUT")
	if out == "" {
		t.Skip("LIGHTBOX_REFERENCE_OUT is not set: nothing to write for PEFT")
	}
	put := func(path string, v any) {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		modeltest.Put(t, path, raw)
	}
	runs := readExchange(t)
	for name := range exchanged {
		base := exchangeModel(t, name)
		dir := filepath.Join(out, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := base.Save(dir, tensor.F32); err != nil {
			t.Fatal(err)
		}
		s := question(t, base, name == "llava") // the others' pixels need more than their numbers
		put(filepath.Join(dir, "input.json"), map[string]any{"ids": s.IDs, "pixels": s.Pixels, "size": s.Size})
		for _, kind := range slices.Sorted(maps.Keys(runs)) {
			which, ok := strings.CutPrefix(kind, "5/"+name+"/")
			if !ok {
				continue
			}
			a, err := Read(t.Context(), base.Share(), runs[kind].write(t))
			if err != nil {
				t.Fatal(err)
			}
			m := base.Share()
			if err := Attach(t.Context(), m, runs[kind].write(t)); err != nil {
				t.Fatal(err)
			}
			want := says(t, m, name == "llava")
			for _, l := range []model.Layout{model.Layout5, model.LayoutHub} {
				to := filepath.Join(dir, which+"-"+string(l))
				if err := os.MkdirAll(to, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := a.SaveAs(to, "", l); err != nil {
					t.Fatal(err)
				}
				put(filepath.Join(to, "expect.json"), map[string]any{"logits": want, "tensors": len(a.Params())})
			}
			parted, err := merge(m)
			if err != nil {
				t.Fatal(err)
			}
			for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
				to := filepath.Join(dir, "merged-"+which+"-"+dt.String())
				if err := os.MkdirAll(to, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := m.Save(to, dt); err != nil {
					t.Fatal(err)
				}
				if parted != "" {
					if err := untie(filepath.Join(to, "config.json")); err != nil {
						t.Fatal(err)
					}
				}
				back, err := exchanged[name].Open(t.Context(), to)
				if err != nil {
					t.Fatal(err)
				}
				put(filepath.Join(to, "expect.json"), map[string]any{"logits": says(t, back, name == "llava")})
			}
		}
	}
}
