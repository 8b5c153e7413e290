//go:build !amd64

package cpu

func features() []feature { return []feature{{AVX2, "x86-64 with AVX2", false}} }
