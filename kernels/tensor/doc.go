// Package tensor knows what a tensor is: shape, element type, the device that holds its memory, the tape that it is on
// and where its gradient goes. It hands memory out from a pool per device and takes it back.
//
// It does not know how to compute anything, and it cannot read a tensor's memory: package ops is the door to both, since
// the memory may be on another device.
//
// # Gradients
//
// Parameters ask for a gradient with SetRequiresGrad. Activations join a tape with Tape.Track, and every op result joins
// the tape of its inputs. An op records a backward only where an input needs a gradient, and keeps only what that needs;
// Tape.Backward then walks the records from the last to the first and adds into Grad.
//
//	tape := tensor.NewTape()
//	loss := model(tape.Track(x))
//	tape.Backward(loss)
//	tape.Release() // every buffer that was made on the tape goes back to the pool
//
// # Order of sums
//
// Whoever adds into a gradient does so in the order of the records, so gradients do not depend on the number of threads.
package tensor
