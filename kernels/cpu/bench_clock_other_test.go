//go:build !unix

package cpu

import "time"

var started = time.Now()

// cpuTime is the time since the start: the system's count of processor time is not read here.
func cpuTime() time.Duration { return time.Since(started) }
