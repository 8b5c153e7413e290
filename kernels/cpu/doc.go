// Package cpu holds the kernels of the CPU: each in plain Go, which defines its bits, and the hot loops also in assembly
// for AVX2 and AVX-512 that gives the same bits. It knows slices, shapes, order of sums, the processor's paths (Path) and the
// worker pool (Parallel); it does not know tensors beyond their memory, tapes or names, and it trusts its caller,
// package ops, to have checked the shapes.
//
// A kernel's forward and backward stand in one file, under the name that it has in package ops.
//
// # Same bits everywhere
//
// Every output depends on its own row (or sequence) only, and every sum has one fixed order:
//
//   - sums along a row run in 16 virtual lanes: lane i mod 16 takes element i, in ascending i, beginning at +0; then lanes
//     i and i+8 are added, then i and i+4, i+2, i+1 (sumLanesGo). AVX2 does it with two registers.
//   - sums over rows (weight gradients of norms, biases, embeddings) take the rows in ascending order, one accumulator per
//     column; goroutines split the columns.
//   - products and sums are rounded separately, so nothing hangs on whether a compiler fuses them: every product that is
//     then added stands in a float32(…) conversion, which the Go specification makes a rounding. Gemm alone fuses, with FMA.
//
// Kernels named …Backward add into their gradients (d…) unless their comment says that they write.
package cpu
