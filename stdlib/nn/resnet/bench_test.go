package resnet

import (
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/nn"
)

// BenchmarkResNet50 is torchvision's resnet50 at 224 pixels: one picture in evaluation mode, and forward and backward pass
// of four in training mode. bench/conv.py times the same with torch.
func BenchmarkResNet50(b *testing.B) {
	m := New(ResNet50(5))
	nn.Randomize(ops.CPU(), nn.State(m), 1, 0)
	pixels := func(n int) *tensor.Tensor {
		return ops.CPU().FromFloats(testmodel.Hashed("pixels", n*3*224*224), n, 3, 224, 224)
	}
	b.Run("eval_1", func(b *testing.B) {
		x := pixels(1)
		for b.Loop() {
			tape := tensor.NewScratch()
			m.Forward(ops.ChannelsLast(tape.Track(x)), false)
			tape.Release()
		}
	})
	b.Run("train_4", func(b *testing.B) {
		x := pixels(4)
		for _, p := range nn.Params(m) {
			p.T().SetRequiresGrad(true)
		}
		for b.Loop() {
			for _, p := range nn.Params(m) {
				p.T().DropGrad()
			}
			tape := tensor.NewTape()
			loss, _ := ops.SoftmaxCrossEntropy(m.Forward(ops.ChannelsLast(tape.Track(x)), true), []int32{0, 1, 2, 3}, 0.25)
			tape.Backward(loss)
			b.ReportMetric(float64(tape.SavedBytes())/(1<<20), "saved-MB")
			tape.Release()
		}
	})
}
