package dual

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/clip"
	"lightbox/stdlib/nn/davit"
	"lightbox/stdlib/safetensors"
)

// publishedNets are networks of published sizes, without weights.
func publishedNets() map[string]struct {
	net  towers
	side int
} {
	c := davit.Published()
	if err := c.Check(); err != nil {
		panic(err)
	}
	off := false
	lang := insightLang{Context: 77, Width: 1024, Heads: 16, Layers: 16, Causal: &off}
	return map[string]struct {
		net  towers
		side int
	}{
		"insight": {&insightNet{davit.New(c), newInsightText(49408, lang), nn.NewParam(nn.InitNormal, 2048, 1024), nn.NewParam(nn.InitNormal, 1024, 1024)}, 480},
		"clip":    {&clipNet{clip.NewText(clip.DefaultTextConfig()), clip.New(clip.DefaultConfig()), nn.NewLinear(768, 512, false), nn.NewLinear(512, 512, false)}, 224},
	}
}

// TestPublishedSize: the trees are those of the published checkpoints. openai/clip-vit-base-patch32 has 151,277,313
// parameters, logit_scale among them; medimageinsigt-v1.0.0.pt is a safetensors file of 2,464,060,700 bytes, of which the
// header depends on every name and shape.
func TestPublishedSize(t *testing.T) {
	for name, n := range publishedNets() {
		var params int64
		var ts []safetensors.Tensor
		for _, p := range nn.Params(n.net) {
			params += p.Numel()
			ts = append(ts, safetensors.Tensor{Name: p.Name, DType: safetensors.F32, Shape: p.Shape})
		}
		if name == "clip" && params+1 != 151_277_313 {
			t.Errorf("clip has %d parameters", params+1)
		}
		if got := fileSize(append(ts, safetensors.Tensor{Name: "logit_scale"})); name == "insight" && got != 2_464_060_700 {
			t.Errorf("insight's file would have %d bytes", got)
		}
		meter := ops.Meta()
		for _, p := range nn.Params(n.net) {
			p.Tensor = meter.Mapped(tensor.F32, p.Shape...)
		}
		tape := tensor.NewScratch()
		n.net.images(tape.Empty(meter.Device, tensor.F32, 1, 3, n.side, n.side))
		image := meter.Spent()
		n.net.texts(tape, make([]int32, 40), []int{0, 40})
		tape.Release()
		t.Logf("%s: %d parameters; an image takes %.1f GFLOP and %d MB of memory, a text of 40 tokens %.1f GFLOP", name, params, image.FLOPs/1e9, image.Held>>20, (meter.Spent().FLOPs-image.FLOPs)/1e9)
	}
}

// fileSize is what the safetensors library would write of float32 tensors: by name, the header padded to eight bytes.
func fileSize(ts []safetensors.Tensor) int {
	slices.SortFunc(ts, func(a, b safetensors.Tensor) int { return strings.Compare(a.Name, b.Name) })
	header, at := 1, 0
	for _, x := range ts {
		n := 4
		for _, d := range x.Shape {
			n *= d
		}
		shape := strings.ReplaceAll(fmt.Sprint(x.Shape), " ", ",")
		header += len(fmt.Sprintf(`"%s":{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]},`, x.Name, shape, at, at+n))
		at += n
	}
	return 8 + (header+7)/8*8 + at
}
