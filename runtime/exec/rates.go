package exec

import "lightbox/runtime/store"

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

// estimate sets the time that a step will take: from the last run of the
// same operation on the same kind of device, else from the device's rates.
func (e *Executor) estimate(it *Item, history []*store.Manifest) {
	c := it.Cost
	if c.FLOPs <= 0 && c.ReadBytes <= 0 {
		return
	}
	d := e.o.Device
	for _, m := range history {
		same := m.Op == it.Step.Op.Name && m.Device == d.Kind && m.ISA == d.ISA && m.Model == d.Model && m.Threads == d.Threads
		if !same || m.Resumed || m.Seconds <= 0 {
			continue
		}
		switch {
		case c.FLOPs > 0 && m.Cost.FLOPs >= minFLOPs:
			it.Seconds, it.Measured = m.Seconds*c.FLOPs/m.Cost.FLOPs, true
			return
		case c.FLOPs <= 0 && m.Cost.FLOPs <= 0 && m.Cost.ReadBytes > 0:
			it.Seconds, it.Measured = m.Seconds*c.ReadBytes/m.Cost.ReadBytes, true
			return
		}
	}
	if e.o.Measure == nil {
		return
	}
	if !e.rated {
		e.rates, e.rated = e.o.Measure(), true
	}
	if e.rates.FLOPs > 0 {
		it.Seconds += c.FLOPs / (e.rates.FLOPs * stepShare)
	}
	if e.rates.Bytes > 0 {
		it.Seconds += c.ReadBytes / e.rates.Bytes
	}
}
