package model

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

// plainNames keeps names as they are.
var plainNames = Names{Canonical: func(s string) string { return s }}

// bnbParams are the parameters of make_bnb.py's network.
func bnbParams() []nn.Named {
	var out []nn.Named
	for _, l := range []struct {
		name    string
		out, in int
		bias    bool
	}{{"double", 7, 100, true}, {"single", 5, 66, false}, {"stored", 6, 64, false}, {"eight", 9, 33, true}, {"plain", 3, 8, false}} {
		out = append(out, nn.Named{Name: l.name + ".weight", Param: nn.NewParam(nn.InitNormal, l.out, l.in)})
		if l.bias {
			out = append(out, nn.Named{Name: l.name + ".bias", Param: nn.NewParam(nn.InitNormal, l.out)})
		}
	}
	return out
}

// TestBitsandbytesLayers: layers that bitsandbytes saved have its values, and stay in the mapped file.
func TestBitsandbytesLayers(t *testing.T) {
	a, err := safetensors.Open("testdata/bnb.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	raw, err := os.ReadFile("testdata/bnb.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Shape  []int
		Values string
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	params := bnbParams()
	if err := CheckWeights(a, params, plainNames); err != nil {
		t.Fatal(err)
	}
	if err := LoadWeights(t.Context(), a, params, plainNames); err != nil {
		t.Fatal(err)
	}
	for _, p := range params {
		name, weight := strings.CutSuffix(p.Name, ".weight")
		if !weight {
			continue
		}
		sum := sha256.Sum256(safetensors.PackF32(ops.Floats(p.T())))
		if w := want[name]; hex.EncodeToString(sum[:]) != w.Values || !slices.Equal(p.T().Shape(), w.Shape) {
			t.Errorf("%s: %s with other values than bitsandbytes'", p.Name, p.T())
		}
		if quant := name != "plain"; p.Packed != quant || quant && (!p.T().Borrowed() || p.Form == nil) {
			t.Errorf("%s: packed %t, form %v, mapped %t", p.Name, p.Packed, p.Form, p.T().Borrowed())
		}
	}
	double := params[0]
	double.Form, double.Packed = &ops.Form{Code: ops.Int8}, false
	if err := LoadWeights(t.Context(), a, params, plainNames); err == nil || !strings.Contains(err.Error(), `tensor "double.weight" is stored as nf4 with double quantisation; it cannot be quantised again, as int8`) {
		t.Errorf("another form: %v", err)
	}
}

// TestBitsandbytesErrors: what is wrong with a quantised weight is said with the tensor's name.
func TestBitsandbytesErrors(t *testing.T) {
	a, err := safetensors.Open("testdata/bnb.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	const state = "double.weight.quant_state.bitsandbytes__nf4"
	edit := func(old, new string) func(string, []byte) []byte {
		return func(name string, raw []byte) []byte {
			if name == state {
				return []byte(strings.Replace(string(raw), old, new, 1))
			}
			return raw
		}
	}
	drop := func(what string) func(string, []byte) []byte {
		return func(name string, raw []byte) []byte {
			if name == what {
				return nil
			}
			return raw
		}
	}
	for want, change := range map[string]func(name string, raw []byte) []byte{
		`tensor "double.weight.absmax" is missing`:                                                        drop("double.weight.absmax"),
		`tensor "single.weight.quant_map" is missing`:                                                     drop("single.weight.quant_map"),
		`tensor "eight.SCB" is missing, the scales of "eight.weight"`:                                     drop("eight.SCB"),
		`tensor "double.weight" holds bytes, and there is no "` + state + `"`:                             drop(state),
		`tensor "` + state + `": shape [9 100]; want [7 100]`:                                             edit("[7, 100]", "[9, 100]"),
		`tensor "` + state + `": blocksize 63; want an even number`:                                       edit(`"blocksize": 64`, `"blocksize": 63`),
		`tensor "` + state + `": quant_type "fp4"; want "nf4"`:                                            edit(`"nf4"`, `"fp4"`),
		`tensor "` + state + `" holds no JSON`:                                                            edit("{", ""),
		`tensor "double.weight.absmax" holds 11 bytes of U8; want 6 of U8 for 700 codes in blocks of 128`: edit(`"blocksize": 64`, `"blocksize": 128`),
	} {
		file := filepath.Join(t.TempDir(), "model.safetensors")
		var out []safetensors.Tensor
		for _, name := range a.Names() {
			info, _ := a.Info(name)
			raw := change(name, a.Bytes(name))
			if raw == nil {
				continue
			}
			if name == state {
				info.Shape = []int{len(raw)}
			}
			out = append(out, safetensors.Tensor{Name: name, DType: info.DType, Shape: info.Shape, Data: func() []byte { return raw }})
		}
		if err := safetensors.Write(file, out, nil); err != nil {
			t.Fatal(err)
		}
		b, err := safetensors.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := LoadWeights(t.Context(), b, bnbParams(), plainNames); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
		b.Close()
	}
}

// TestQuantiseWhileLoading: weights whose form is asked for are quantised, from every type that a file can hold; others
// and biases stay.
func TestQuantiseWhileLoading(t *testing.T) {
	values := make([]float32, 10*70)
	for i := range values {
		values[i] = float32(i%37)/16 - 1 // exact in bfloat16
	}
	for _, dt := range []safetensors.DType{safetensors.F32, safetensors.BF16} {
		file := filepath.Join(t.TempDir(), "model.safetensors")
		if err := safetensors.Write(file, []safetensors.Tensor{
			safetensors.Float32("a.weight", dt, []int{10, 70}, values), safetensors.Float32("a.bias", dt, []int{10}, values[:10]),
			safetensors.Float32("b.weight", dt, []int{70, 10}, values),
		}, nil); err != nil {
			t.Fatal(err)
		}
		a, err := safetensors.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		params := []nn.Named{{Name: "a.weight", Param: nn.NewParam(nn.InitNormal, 10, 70)}, {Name: "a.bias", Param: nn.NewParam(nn.InitNormal, 10)}, {Name: "b.weight", Param: nn.NewParam(nn.InitNormal, 70, 10)}}
		var reports []int64
		ctx := WithForms(t.Context(), map[string]ops.Form{"a.weight": {Code: ops.NF4, Double: true}}, func(done, total int64, _ string) { reports = append(reports, done, total) })
		if err := LoadWeights(ctx, a, params, plainNames); err != nil {
			t.Fatal(err)
		}
		whole, err := ops.Quantise(ops.CPU().FromFloats(values, 10, 70), ops.Form{Code: ops.NF4, Double: true})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ops.Floats(params[0].T()), ops.Floats(whole)) || params[0].T().Borrowed() {
			t.Errorf("%s: not the values of Quantise, in memory of the device", dt)
		}
		if params[1].T().DType() != tensor.F32 || params[2].T().Quant() != nil || !slices.Equal(reports, []int64{1, 1}) {
			t.Errorf("%s: %s, %s, reports %v", dt, params[1].T(), params[2].T(), reports)
		}
		// what was forgotten of the file comes back
		if got, err := a.Floats("a.weight"); err != nil || !slices.Equal(got, values) {
			t.Errorf("%s: the file reads otherwise after it was forgotten (%v)", dt, err)
		}
		a.Close()
	}
}

// TestStoredQuantisation reads what transformers writes into config.json.
func TestStoredQuantisation(t *testing.T) {
	for text, want := range map[string]string{
		`{"model_type": "llava"}`: "<nil>",
		`{"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": true, "llm_int8_skip_modules": null}}`:              "nf4 with double quantisation",
		`{"quantization_config": {"quant_method": "bitsandbytes", "_load_in_4bit": true, "_load_in_8bit": false, "bnb_4bit_quant_type": "fp4", "llm_int8_skip_modules": ["lm_head", "vision_tower"]}}`: "fp4 but vision_tower",
		`{"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": true}}`:                                                                                                              "int8",
		`{"quantization_config": {"quant_method": "gptq", "bits": 4}}`:                                                                                                                                 `quantization_config: quant_method "gptq" is not read; known: bitsandbytes`,
		`{"quantization_config": {"quant_method": "bitsandbytes"}}`:                                                                                                                                    "quantization_config: load_in_4bit false and load_in_8bit false; want one of them",
		`{"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "int4"}}`:                                                                               `quantization_config: bnb_4bit_quant_type "int4"; known: nf4, fp4`,
	} {
		q, err := StoredQuantisation([]byte(text))
		got := "<nil>"
		if err != nil {
			got = err.Error()
		} else if q != nil {
			got = q.String()
		}
		if got != want {
			t.Errorf("%s\ngives %s\nwant  %s", text, got, want)
		}
	}
}
