package idefics3

import (
	"os"
	"slices"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/vision"
)

func published(t *testing.T) *Model {
	t.Helper()
	raw, err := os.ReadFile("../published/smolvlm-500m-instruct.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m.(*Model)
}

// TestPublishedCount counts SmolVLM-500M-Instruct from its configuration alone, tower by tower as transformers does.
func TestPublishedCount(t *testing.T) {
	m := published(t)
	towers := map[model.Tower][]model.Param{}
	for _, p := range m.Params() {
		towers[p.Tower] = append(towers[p.Tower], p)
	}
	for tower, want := range map[model.Tower]string{model.Vision: "86,433,024", model.Connector: "11,796,480", model.Language: "409,252,800"} {
		if got := model.Count(towers[tower]); got != want {
			t.Errorf("%s: %s parameters; want %s", tower, got, want)
		}
	}
	if got := model.Count(m.Params()); got != "507,482,304" {
		t.Error(got)
	}
}

// TestPublishedTokens: a square image takes 17 views of 64 tokens, one of 4:3 takes 13.
func TestPublishedTokens(t *testing.T) {
	m := published(t)
	for _, c := range []struct{ w, h, views, rows int }{{512, 512, 17, 4}, {30, 30, 17, 4}, {640, 480, 13, 3}, {480, 640, 13, 4}, {5000, 1, 5, 1}, {1, 5000, 5, 4}} {
		s, err := m.Blank(c.w, c.h, 30, 10)
		if err != nil {
			t.Fatal(err)
		}
		images := 0
		for _, id := range s.IDs {
			if id == 49190 {
				images++
			}
		}
		// Two tags a view, the token after the last, a line end per row.
		if all := c.views*(64+2) + 1 + c.rows; images != 64*c.views || len(s.IDs) != all+30 || s.Rows != c.views*1024 || len(s.Pixels) != c.views*3*512*512 {
			t.Errorf("%dx%d: %d image tokens of %d, %d rows, %d pixels; want %d views, %d tokens", c.w, c.h, images, len(s.IDs), s.Rows, len(s.Pixels), c.views, all+30)
		}
	}
	if i := m.Info(); i.ImageTokens != 17*66+1+4 || i.VisionHidden != 768 || i.Context != 8192 || i.DType != "bfloat16" {
		t.Error(i)
	}
}

// TestBlankSizes: a blank sample is as long as an encoded one for images of every shape, and one without the checkpoint's
// files is too where every tag is a token.
func TestBlankSizes(t *testing.T) {
	dir := t.TempDir()
	if err := Tiny(dir); err != nil {
		t.Fatal(err)
	}
	tiny, err := Init(t.Context(), dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	skeleton := &Model{cfg: tiny.(*Model).cfg}
	skeleton.build()
	for _, m := range []model.Model{tiny, skeleton, family.Load(t, "grouped"), family.Load(t, "sharded"), family.Load(t, "whole")} {
		encoder := m
		if m == model.Model(skeleton) {
			encoder = tiny
		}
		var around []int // tokens of the text, which no image changes
		for _, size := range [][2]int{{1, 1}, {64, 64}, {65, 64}, {3, 500}, {500, 3}, {1, 3000}, {3000, 1}, {97, 31}, {31, 97}, {200, 201}} {
			s, err := encoder.Encode(model.Input{Image: vision.New(size[0], size[1]), Prompt: "What?", Target: "A cyst."})
			if err != nil {
				t.Fatal(err)
			}
			b, err := m.Blank(size[0], size[1], 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			around = append(around, len(s.IDs)-len(b.IDs))
			if b.Rows != s.Rows || len(b.Pixels) != len(s.Pixels) || b.Images != s.Images || b.Size != s.Size {
				t.Errorf("%v: blank has %d rows, %d pixels; encoded %d, %d", size, b.Rows, len(b.Pixels), s.Rows, len(s.Pixels))
			}
		}
		if slices.Min(around) != slices.Max(around) {
			t.Errorf("text around images takes %v tokens", around)
		}
	}
}

// TestTurns: an answer is learnt with the end of its turn, which ends generation beside what the files name.
func TestTurns(t *testing.T) {
	m := family.Load(t, "whole").(*Model)
	end, _ := m.proc.Tok.ID(endToken)
	s, err := m.Encode(model.Input{Prompt: "Which side?", Target: "Left."})
	if err != nil {
		t.Fatal(err)
	}
	if last := len(s.IDs) - 1; s.IDs[last] != end || s.Labels[last] != end || m.proc.Tok.Decode(s.IDs[s.Prompted():last], false) != " Left." {
		t.Errorf("learnt: %q", m.proc.Tok.Decode(s.IDs[s.Prompted():], false))
	}
	want := "<|im_start|>User: Which side?<end_of_utterance>\nAssistant:"
	if s.Text != want+" Left." {
		t.Errorf("text %q", s.Text)
	}
	if eos := m.Info().EOS; len(eos) != 2 || !slices.Contains(eos, end) {
		t.Errorf("EOS %v; want those of generation_config.json, %d among them", eos, end)
	}
	// Without a template the family's own prompt is the same.
	with := m.proc.Template
	for _, image := range []bool{false, true} {
		m.proc.Template = with
		a, err := m.proc.prompt("Which side?", image)
		if err != nil {
			t.Fatal(err)
		}
		m.proc.Template = nil
		if b, err := m.proc.prompt("Which side?", image); a != b || err != nil {
			t.Errorf("prompts %q and %q differ: %v", a, b, err)
		}
	}
}

// TestMeasure runs passes of the true size without memory: their operations follow from the sizes, and a checkpointed
// training step with adapters everywhere keeps a layer's activations of the tower where a plain one keeps them all.
func TestMeasure(t *testing.T) {
	m := published(t)
	s, err := m.Blank(640, 480, 40, 20)
	if err != nil {
		t.Fatal(err)
	}
	prefill := model.Measure(m, func(m model.Model, _ *ops.Meter) {
		tape := tensor.NewScratch()
		m.Logits(m.Hidden(&model.Batch{Samples: []*model.Sample{s}, Tail: []int{1}, Tape: tape}))
		tape.Release()
	})
	const views, p, e, f = 13, 1024, 768, 3072
	tower := float64(views) * (12*(2*p*(4*e*e+2*e*f)+4*p*p*e) + 2*p*e*3*16*16)
	connector := 2.0 * views * 64 * 12288 * 960
	n, c, layers := float64(len(s.IDs)), 960.0, 31.0 // the last layer has one row beside its keys and values
	decoder := layers*(2*n*(2*c*c+2*c*320+3*c*2560)+2*n*n*c) + 2*n*2*c*320 + 2*c*49280
	if want := tower + connector + decoder; prefill.FLOPs < 0.99*want || prefill.FLOPs > 1.03*want {
		t.Errorf("a prefill takes %.4g operations; want about %.4g", prefill.FLOPs, want)
	}
	step := func(checkpoint bool) model.Estimate {
		return model.Measure(m, func(m model.Model, on *ops.Meter) {
			for _, slot := range m.Slots() {
				a := &nn.LoRA{A: nn.NewParam(nn.InitNormal, 16, slot.Linear.In()), B: nn.NewParam(nn.InitZeros, slot.Linear.Out(), 16), Scale: 2}
				for _, p := range []*nn.Param{a.A, a.B} {
					p.Tensor = on.Empty(tensor.F32, p.Shape...)
					p.Tensor.SetRequiresGrad(true)
				}
				slot.Linear.Adapters = append(slot.Linear.Adapters, a)
			}
			tape := tensor.NewTape()
			loss, _ := model.Loss(m, &model.Batch{Samples: []*model.Sample{s}, Tape: tape, Checkpoint: checkpoint}, 1)
			tape.Backward(loss)
			tape.Release()
		})
	}
	plain, checkpointed := step(false), step(true)
	t.Logf("prefill %.3g operations, %d MB; a step %d MB, checkpointed %d MB", prefill.FLOPs, prefill.Tensors>>20, plain.Tensors>>20, checkpointed.Tensors>>20)
	if checkpointed.Tensors*3 > plain.Tensors {
		t.Errorf("a checkpointed step holds %d bytes, a plain one %d", checkpointed.Tensors, plain.Tensors)
	}
}
