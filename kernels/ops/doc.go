// Package ops is the door to the kernels: it checks shapes, makes results, calls the kernels of the tensor's device, and
// records backwards on the tape. It alone reads tensor memory; other packages move values with FromFloats, FromBytes,
// Floats, Bytes and SetFloats.
//
// It does not know models, layers or weights' names beyond the text of an error.
//
// # Rules that every op keeps
//
//   - Activations are f32. Weights of Linear and Embedding may be bf16 or f16, widened as they are read.
//   - The result is on the tape of the inputs; inputs of two tapes do not mix. Without a tape nothing is recorded and the
//     garbage collector frees results; a tape made by tensor.NewScratch records nothing and hands them back at Release.
//     Tape.Scope and Tape.Checkpoint hand back earlier what no backward reads. What an op needs besides it frees itself,
//     so that memory in use follows from the calls alone.
//   - It runs on a Meter too, which has no memory: nothing outside launch reads or writes elements, products and attention
//     say what they cost (spend).
//   - A backward is recorded only where an input needs a gradient. It keeps only what it reads: a Linear whose weight is
//     frozen keeps neither its input nor a gradient of the weight.
//   - A wrong shape, type or index panics with a *tensor.Error that names op, argument, tensor, got and want. The step
//     that runs the op recovers it.
//   - The same inputs give the same bits for any number of threads, and a row (of attention: a sequence) gives the same
//     bits whatever else is in the call.
//
// Letters in comments: N rows, C columns, K and N of a weight (N, K), H heads, D head size.
package ops
