//go:build !linux && !darwin && !freebsd

package safetensors

// forget does nothing: files are not mapped, or pages are left to the system.
func forget([]byte, int, int) {}
