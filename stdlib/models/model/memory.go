package model

// Resident is by how much a process grows that maps weights bytes from files and makes tensors of the given bytes itself:
// Go's collector lets its heap grow to twice what is in use. It is what the footer of a run measures.
func Resident(weights, tensors int64) int64 { return weights + 2*tensors }
