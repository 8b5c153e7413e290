package train

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
)

// packed are bytes; as floats, little-endian float32.
type packed []byte

func (p *packed) UnmarshalText(text []byte) (err error) {
	*p, err = base64.StdEncoding.DecodeString(string(text))
	return err
}

func (p packed) floats() []float32 {
	out := make([]float32, len(p)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(p[4*i:]))
	}
	return out
}

// testdata/make_optimizer_golden.py made it with torch 2.15, transformers 5.23.0 and bitsandbytes 0.50.2.
type optimizerGolden struct {
	Adafactor []struct {
		Settings struct {
			LR             float64
			WeightDecay    float64 `json:"weight_decay"`
			ScaleParameter *bool   `json:"scale_parameter"`
			RelativeStep   *bool   `json:"relative_step"`
			WarmupInit     bool    `json:"warmup_init"`
			Beta1          float64
			ClipThreshold  float64 `json:"clip_threshold"`
			DecayRate      float64 `json:"decay_rate"`
			Eps            []float64
		}
		After []packed
	}
	Torch     []packed `json:"torch_adafactor"`
	AdamW8bit []struct {
		P, M, V packed
		MMax    packed `json:"m_max"`
		VMax    packed `json:"v_max"`
	}
	Schedules []struct {
		Name          string
		Steps, Warmup int
		Kwargs        struct {
			NumCycles int     `json:"num_cycles"`
			Power     float64 `json:"power"`
			LREnd     float64 `json:"lr_end"`
		}
		Rates []float64
	}
	Clip []struct {
		Limit, Norm float64
		Grads       []packed
	}
}

func readOptimizerGolden(t *testing.T) optimizerGolden {
	t.Helper()
	raw, err := os.ReadFile("testdata/optimizer_golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g optimizerGolden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func numel(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// shaped makes an optimizer of the golden's parameters.
func shaped(c Config, shapes ...[]int) *optimizer {
	var params []param
	for k, s := range shapes {
		v := testmodel.Hashed(fmt.Sprintf("p%d", k), numel(s))
		for i := range v {
			v[i] *= 0.5
		}
		params = append(params, param{name: fmt.Sprintf("p%d", k), t: ops.CPU().FromFloats(v, s...)})
	}
	return newOptimizer(ops.CPU(), c.filled(), params)
}

// give gives the parameters the golden's gradients of a step.
func give(o *optimizer, step int) {
	o.begin()
	for k, p := range o.params {
		x := testmodel.Hashed(fmt.Sprintf("g%d %d", k, step), p.t.Numel())
		by := float32(2)
		if step%3 != 0 {
			by = 0.1
		}
		for i, v := range x {
			x[i] = v * v * v * by
		}
		tape := tensor.NewTape() // the gradient of Σ p·x is x
		tape.Backward(ops.Sum(ops.Mul(tape.Track(ops.CPU().FromFloats(x, p.t.Shape()...)), p.t)))
		tape.Release()
	}
}

var goldenShapes = [][]int{{5, 9}, {7}, {2, 3, 4}, {1, 6}}

// steps runs n steps without clipping, which the golden does not do.
func (o *optimizer) steps(n int) {
	o.cfg.ClipNorm = -1
	for i := range n {
		give(o, i)
		o.update(o.norm())
	}
}

func furthest(got, want []float32) float64 {
	d := 0.0
	for i, v := range want {
		d = max(d, math.Abs(float64(got[i]-v)))
	}
	return d
}

// TestAdafactor: steps in all settings are those of transformers' Adafactor, and in one those of torch's.
func TestAdafactor(t *testing.T) {
	g := readOptimizerGolden(t)
	check := func(name string, c Config, want []packed) {
		o := shaped(c, goldenShapes...)
		o.steps(8)
		for k, p := range o.params {
			if d := furthest(ops.Floats(p.t), want[k].floats()); d > 2e-7 {
				t.Errorf("%s: parameter %d differs by %.1e", name, k, d)
			}
		}
		if d := furthest(testmodel.Hashed("p0", 45), ops.Floats(o.params[0].t)); d < 1e-2 {
			t.Errorf("%s: parameters hardly change: it tests nothing", name)
		}
	}
	for i, x := range g.Adafactor {
		s := x.Settings
		c := Config{Optimizer: Adafactor, LR: s.LR, WeightDecay: s.WeightDecay, Adafactor: Factored{
			RelativeStep: s.RelativeStep == nil || *s.RelativeStep, ScaleParameter: s.ScaleParameter == nil || *s.ScaleParameter,
			WarmupInit: s.WarmupInit, Beta1: s.Beta1, ClipThreshold: s.ClipThreshold, DecayRate: s.DecayRate}}
		if s.Eps != nil {
			c.Adafactor.Eps1, c.Adafactor.Eps2 = s.Eps[0], s.Eps[1]
		}
		for _, err := range c.check() {
			t.Error(err)
		}
		check(fmt.Sprintf("setting %d", i), c, x.After)
	}
	check("torch.optim.Adafactor", Config{Optimizer: Adafactor, Adafactor: Factored{RelativeStep: true, ScaleParameter: true}}, g.Torch)
}

// TestAdamW8bit: ten steps are those of bitsandbytes' AdamW8bit on a CPU, moments included; fewer than 4096 elements stay
// in float32.
func TestAdamW8bit(t *testing.T) {
	g := readOptimizerGolden(t)
	o := shaped(Config{Optimizer: AdamW8bit, LR: 1e-3, WeightDecay: 0.1}, []int{64, 65}, []int{63, 65}, []int{4097})
	o.steps(10)
	for k, p := range o.params {
		want := g.AdamW8bit[k]
		all := ops.Floats(p.t)
		var some []float32
		for i := 0; i < len(all); i += 3 {
			some = append(some, all[i])
		}
		if d := furthest(some, want.P.floats()); d > 1e-6 {
			t.Errorf("parameter %d differs by %.1e", k, d)
		}
		s := o.kept[k]
		if len(want.M) == 0 {
			if s["m"].DType() != tensor.F32 || s["m_max"] != nil {
				t.Errorf("parameter %d of %d elements keeps %s moments", k, p.t.Numel(), s["m"].DType())
			}
			continue
		}
		for name, codes := range map[string]packed{"m": want.M, "v": want.V} {
			off := 0
			for i, c := range ops.Bytes(s[name]) {
				if c != codes[i] {
					off++
				}
			}
			if off > 2 { // a moment a rounding away from the edge between two codes
				t.Errorf("parameter %d: %d of %d codes of %s differ", k, off, p.t.Numel(), name)
			}
		}
		for name, most := range map[string]packed{"m_max": want.MMax, "v_max": want.VMax} {
			for i, v := range ops.Floats(s[name]) {
				if w := most.floats()[i]; math.Abs(float64(v/w-1)) > 1e-6 {
					t.Errorf("parameter %d: block %d of %s has the scale %v, want %v", k, i, name, v, w)
				}
			}
		}
	}
}

// TestGetScheduler: rates are those of transformers' get_scheduler, to the last bit but for the cosine's and the power's.
func TestGetScheduler(t *testing.T) {
	for _, s := range readOptimizerGolden(t).Schedules {
		name := Schedule(s.Name)
		if name == "constant" || name == "constant_with_warmup" {
			name = Constant
		}
		c := Config{LR: 2e-4, Schedule: name, WarmupSteps: s.Warmup, Cycles: s.Kwargs.NumCycles, Power: s.Kwargs.Power, EndLR: s.Kwargs.LREnd}
		for _, err := range c.check() {
			t.Error(err)
		}
		c = c.filled()
		ulps := 0.0
		if name == Cosine || name == CosineRestarts || name == Polynomial {
			ulps = 4
		}
		for i, want := range s.Rates {
			got := c.rate(i, s.Steps)
			// near its zero a cosine's rounding is that of the 1 that is added to it
			if room := ulps * (math.Nextafter(want, 1) - want + 2e-4*1.2e-16); math.Abs(got-want) > room {
				t.Errorf("schedule %q, %d steps, warm-up %d: step %d has rate %v, want %v", s.Name, s.Steps, s.Warmup, i, got, want)
			}
		}
	}
}

// TestClip: gradients are clipped as torch.nn.utils.clip_grad_norm_ does.
func TestClip(t *testing.T) {
	for _, x := range readOptimizerGolden(t).Clip {
		o := shaped(Config{ClipNorm: x.Limit}, goldenShapes...)
		give(o, 0)
		norm := o.norm()
		if math.Abs(norm/x.Norm-1) > 1e-6 {
			t.Errorf("norm %v, want %v", norm, x.Norm)
		}
		o.update(norm)
		for k, p := range o.params {
			got, want := ops.Floats(p.t.Grad()), x.Grads[k].floats()
			for i, v := range got {
				if w := want[i]; math.Abs(float64(v-w)) > 2e-7*math.Abs(float64(w)) {
					t.Errorf("limit %v: gradient %d[%d] is %v, want %v", x.Limit, k, i, v, w)
				}
			}
		}
	}
}

func TestOptimizerErrors(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Optimizer: "adafacto"}, `did you mean "adafactor"?`},
		{Config{Adafactor: Factored{RelativeStep: true}}, "Optimizer is not train.Adafactor"},
		{Config{Optimizer: Adafactor, LR: 1e-3, Adafactor: Factored{RelativeStep: true}}, "leave LR, Schedule and warm-up out"},
		{Config{Optimizer: Adafactor, Adafactor: Factored{WarmupInit: true}}, "WarmupInit wants RelativeStep"},
		{Config{Optimizer: Adafactor, Beta1: 0.8}, "Config.Adafactor"},
		{Config{Optimizer: Adafactor, Adafactor: Factored{DecayRate: 0.8}}, "DecayRate below 0"},
		{Config{Optimizer: Adafactor, Adafactor: Factored{Beta1: math.NaN()}}, "holds NaN"},
		{Config{WarmupSteps: 3, WarmupRatio: 0.1}, "both WarmupSteps and WarmupRatio"},
		{Config{Schedule: Polynomial, EndLR: 1}, "EndLR is 1: want at least 0 and less than LR, 0.0002"},
		{Config{Schedule: "polinomial"}, `did you mean "polynomial"?`},
		{Config{Cycles: -1}, "Cycles is -1"},
	} {
		errs := c.config.check()
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), c.want) {
			t.Errorf("%+v: got %v, want one error with %q", c.config, errs, c.want)
		}
	}
}

// TestOptimizersDeterministic: with every optimiser a training gives the same bits on 1, 2 and 3 threads, and interrupted
// at every moment that the loop looks at.
func TestOptimizersDeterministic(t *testing.T) {
	defer ops.SetThreads(0)
	base, ctx := models.Load(testmodel.Checkpoint(t)), context.Background()
	for _, c := range []Config{
		{}, {Optimizer: AdamW8bit}, {Optimizer: Adafactor}, {Optimizer: Adafactor, Adafactor: Factored{Beta1: 0.9, ScaleParameter: true}},
	} {
		q := quick()
		q.Epochs, q.Optimizer, q.Adafactor = 1, c.Optimizer, c.Adafactor
		ref := loraRef(base, phantoms().Ref(), lora.Config{Rank: 96, Dropout: 0.2, TargetModules: []string{"q_proj", "up_proj"}}, q)
		ops.SetThreads(1)
		want, err := trained(t, testmodel.NewRunner(t), ctx, ref)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{2, 3} {
			ops.SetThreads(n)
			got, err := trained(t, testmodel.NewRunner(t), ctx, ref)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%q on %d threads: other bytes (%v)", c.Optimizer, n, err)
			}
		}
		r := testmodel.NewRunner(t)
		if _, err := r.Run(ctx, ref.Step().In[1]); err != nil {
			t.Fatal(err)
		}
		for stops := 0; ; stops++ {
			got, err := trained(t, r, &stopAfter{ctx, 4}, ref)
			if errors.Is(err, context.Canceled) && stops < 50 {
				continue
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%q after %d interruptions: other bytes (%v)", c.Optimizer, stops, err)
			}
			if stops < 2 {
				t.Errorf("%q was interrupted %d times only", c.Optimizer, stops)
			}
			break
		}
	}
}
