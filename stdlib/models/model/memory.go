package model

// processBytes is what a program holds before it has loaded anything.
const processBytes = 64 << 20

// Resident is the memory of a process that maps weights bytes from files and makes tensors of the given bytes itself:
// Go's collector lets its heap grow to twice what is in use. It is what the footer of a run measures.
func Resident(weights, tensors int64) int64 { return processBytes + weights + 2*tensors }
