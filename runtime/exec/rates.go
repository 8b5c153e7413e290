package exec

import (
	"lightbox/runtime/step"
	"lightbox/runtime/store"
)

// Rates is what a device achieves, for estimates of time.
type Rates struct {
	FLOPs float64 // floating-point operations a second in matrix products
	Bytes float64 // bytes a second from memory
}

// stepShare is the part of the matrix-product rate that whole training and
// generation steps reach; used until an operation has been measured itself.
const stepShare = 0.5

// minFLOPs is below what an earlier run says nothing about the device's rate.
const minFLOPs = 1e8

// estimate is the time that work of a step's operation will take: from the last
// run of the operation on the same kind of device (measured), else from the
// device's rates.
func (e *Executor) estimate(s step.Step, c step.Cost, history []*store.Manifest) (seconds float64, measured bool) {
	if c.FLOPs <= 0 && c.ReadBytes <= 0 {
		return 0, false
	}
	d := e.o.Device
	for _, m := range history {
		same := m.Op == s.Op.Name && m.Device == d.Kind && m.ISA == d.ISA && m.Model == d.Model && m.Threads == d.Threads
		if !same || m.Resumed || m.Seconds <= 0 {
			continue
		}
		switch {
		case c.FLOPs > 0 && m.Cost.FLOPs >= minFLOPs:
			return m.Seconds * c.FLOPs / m.Cost.FLOPs, true
		case c.FLOPs <= 0 && m.Cost.FLOPs <= 0 && m.Cost.ReadBytes > 0:
			return m.Seconds * c.ReadBytes / m.Cost.ReadBytes, true
		}
	}
	if e.o.Measure == nil {
		return 0, false
	}
	if !e.rated {
		e.rates, e.rated = e.o.Measure(), true
	}
	if e.rates.FLOPs > 0 {
		seconds += c.FLOPs / (e.rates.FLOPs * stepShare)
	}
	if e.rates.Bytes > 0 {
		seconds += c.ReadBytes / e.rates.Bytes
	}
	return seconds, false
}
