package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// SwiGLU is silu(gate)·up, of one shape. The backward keeps gate and up, and recomputes.
func SwiGLU(gate, up *tensor.Tensor) *tensor.Tensor {
	const op = "swiglu"
	floats(op, "gate", gate)
	same(op, "up", gate, up)
	tape := tapeOf(op, gate, up)
	out := like(tape, gate)
	launch("swiglu_forward", func() { cpu.SwiGLUForward(f32(out), f32(gate), f32(up)) }, out, gate, up)
	if recording(tape, gate, up) {
		sg, su := gate.Slot(), up.Slot()
		g, u := gate.Detach(), tensorIf(sg != nil, up.Detach())
		tape.Record(op, out, []*tensor.Tensor{gate, tensorIf(sg != nil, up)}, func(dout *tensor.Tensor) {
			dg, du := sumOf(sg), sumOf(su)
			launch("swiglu_backward", func() {
				cpu.SwiGLUBackward(f32(dg), f32(du), f32(g), f32(u), f32(dout))
			}, dg, du, g, u, dout)
		})
	}
	return out
}
