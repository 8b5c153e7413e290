package cpu

// The kernels here know slices, shapes and order of sums; they do not know tensors, tapes or names, and they trust their
// caller (package ops) to have checked the shapes.
//
// # Same bits everywhere
//
// Every output depends on its own row (or sequence) only, and every sum has one fixed order:
//
//   - sums along a row run in 16 virtual lanes: lane i mod 16 takes element i, in ascending i, beginning at +0; then lanes
//     i and i+8 are added, then i and i+4, i+2, i+1 (SumLanes). AVX2 does it with two registers, AVX-512 with one.
//   - sums over rows (weight gradients of norms, biases, embeddings) take the rows in ascending order, one accumulator per
//     column; goroutines split the columns.
//   - products and sums are rounded separately, so nothing hangs on whether a compiler fuses them: every product that is
//     then added stands in a float32(…) conversion, which the Go specification makes a rounding. Gemm alone fuses, with FMA.
//
// Kernels named …Backward add into their gradients (d…) unless their comment says that they write.
