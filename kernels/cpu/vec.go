package cpu

// vecTable holds the inner loops over rows that have SIMD versions. The Go versions here define the bits: a SIMD version of
// an entry gives the same ones for every length, and for dst overlapping an input exactly. vec() is the table of the path in use.
type vecTable struct {
	sumLanes        func(x []float32) float32                   // Σ x in lanes
	dot             func(a, b []float32) float32                // Σ a·b in lanes
	sumSquaresAbout func(x []float32, mean float32) float32     // Σ (x−mean)² in lanes
	maxRow          func(x []float32) float32                   // greatest
	axpy            func(dst []float32, a float32, x []float32) // dst += a·x
	add             func(dst, a, b []float32)                   // dst = a+b
	mul             func(dst, a, b []float32)                   // dst = a·b
	mulAdd          func(dst, a, b []float32)                   // dst += a·b
	scale           func(dst, x []float32, s float32)           // dst = s·x
	expRow          func(dst, x []float32, shift float32)       // dst = e^(x−shift)
	act             [numActivations]func(dst, x []float32)      // dst = f(x)
	actBack         [numActivations]func(dx, x, dout []float32) // dx += f'(x)·dout
	swiglu          func(dst, gate, up []float32)               // dst = silu(gate)·up
	swigluBack      func(dgate, dup, gate, up, dout []float32)  // adds; dgate (and then up) or dup may be nil

	centre      func(dst, x []float32, mean, s float32)         // dst = (x−mean)·s
	centreBack  func(dx, g, xhat []float32, mg, mgx, s float32) // dx += s·((g−mg) − xhat·mgx)
	softmaxBack func(dx, y, g []float32, dot float32)           // dx += y·(g−dot)
	scoreBack   func(d, p []float32, delta, scale float32)      // d = p·(d−delta)·scale
	rotate      func(y0, y1, x0, x1, cos, sin []float32)        // RopeForward on a half head; y may be x
	rotateBack  func(d0, d1, g0, g1, cos, sin []float32)        // RopeBackward on a half head; adds
	adamW       func(p, m, v, g []float32, s adamWScalars)
	keep        func(m []float32, k keepArgs) // Dropout's factors
}

// vecGo are the reference loops.
var vecGo = vecTable{
	sumLanes: sumLanesGo, dot: dotGo, sumSquaresAbout: sumSquaresAboutGo, maxRow: maxRowGo,
	axpy: axpyGo, add: addGo, mul: mulGo, mulAdd: mulAddGo, scale: scaleGo, expRow: expRowGo,
	act:     actGo,
	actBack: actBackGo,
	swiglu:  swigluGo, swigluBack: swigluBackGo,
	centre: centreGo, centreBack: centreBackGo, softmaxBack: softmaxBackGo, scoreBack: scoreBackGo,
	rotate: rotateGo, rotateBack: rotateBackGo,
	adamW: adamWGo,
	keep:  keepGo,
}
