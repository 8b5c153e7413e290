//go:build !unix

package exec

func ignoreFileSizeSignal() {}
