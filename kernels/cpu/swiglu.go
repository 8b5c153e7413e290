package cpu

// SwiGLU is silu(gate)·up (Shazeer, 2020). The backward recomputes the sigmoid and adds into dgate and dup.

func swigluGo(dst, gate, up []float32) {
	gate, up = gate[:len(dst)], up[:len(dst)]
	for i, g := range gate {
		dst[i] = silu(g) * up[i]
	}
}

func swigluBackGo(dgate, dup, gate, up, dout []float32) {
	if dgate != nil {
		for i, g := range gate {
			dgate[i] += float32(float32(siluSlope(g)*up[i]) * dout[i])
		}
	}
	if dup != nil {
		for i, g := range gate {
			dup[i] += float32(silu(g) * dout[i])
		}
	}
}

// SwiGLUForward is dst = silu(gate)·up.
func SwiGLUForward(dst, gate, up []float32) {
	Parallel(len(dst), elementGrain, func(lo, hi int) { vec().swiglu(dst[lo:hi], gate[lo:hi], up[lo:hi]) })
}

// SwiGLUBackward adds dout's share to dgate and dup; either may be nil, and up where dgate is.
func SwiGLUBackward(dgate, dup, gate, up, dout []float32) {
	Parallel(len(dout), elementGrain, func(lo, hi int) {
		var dg, du, u []float32
		if dgate != nil {
			dg, u = dgate[lo:hi], up[lo:hi]
		}
		if dup != nil {
			du = dup[lo:hi]
		}
		vec().swigluBack(dg, du, gate[lo:hi], u, dout[lo:hi])
	})
}
