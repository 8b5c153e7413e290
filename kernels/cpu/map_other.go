//go:build !(linux || darwin || freebsd)

package cpu

// mapMemory takes memory of the Go heap.
func mapMemory(bytes int) []byte { return make([]byte, bytes) }

// unmapMemory leaves it to the collector.
func unmapMemory([]byte) {}
