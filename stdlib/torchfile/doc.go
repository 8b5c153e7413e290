// Package torchfile reads the weights in files that torch.save writes (.bin, .pth, .pt, .ckpt): both the zip archives of
// torch 1.6 and later and the bare pickles before, into the archive that package safetensors reads its files into.
//
// Encode writes such a file.
//
// It knows the pickle opcodes, the storages and the rebuild functions that a dictionary of tensors needs, nested
// and ordered dictionaries, views, shared storages, and the wrappings of training programs. It runs nothing: a pickle
// that names anything else is refused with that name. It does not know models, TorchScript programs, quantised or sparse
// tensors, or big-endian machines.
//
// Storages stay in the mapped file and tensors are views of them, so that weights are held once and tied ones share their
// bytes; only what does not lie in one piece (a transposed view, a compressed record) is copied.
package torchfile
