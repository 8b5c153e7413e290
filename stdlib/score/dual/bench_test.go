package dual

import (
	"context"
	"os"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/clip"
	"lightbox/stdlib/nn/davit"
)

// published networks without weights: what is compared with testdata/bench.py.
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

// TestPublishedSize: the parameters of the published networks, and the work of an image and of a text of 40 tokens, all in
// numbers that were computed by hand from the configuration.
func TestPublishedSize(t *testing.T) {
	for name, n := range publishedNets() {
		var params int64
		for _, p := range nn.Params(n.net) {
			params += p.Numel()
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

// BenchmarkImage is one image through the published size of a network with random weights. LIGHTBOX_LONG: MedImageInsight
// takes 2.5 GB.
func BenchmarkImage(b *testing.B) {
	if os.Getenv("LIGHTBOX_LONG") == "" {
		b.Skip("LIGHTBOX_LONG is not set")
	}
	for name, n := range publishedNets() {
		b.Run(name, func(b *testing.B) {
			dev := ops.From(context.Background())
			nn.Randomize(dev, nn.Params(n.net), 1, 0.02)
			for b.Loop() {
				tape := tensor.NewScratch()
				x := tape.Empty(dev, tensor.F32, 1, 3, n.side, n.side)
				ops.Fill(x, func(i int) float32 { return float32(i%17)/8 - 1 })
				vectors(n.net.images(x))
				tape.Release()
			}
		})
	}
}
