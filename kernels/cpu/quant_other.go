//go:build !amd64

package cpu

// values writes the values of the elements from o on.
func (c *Codes) values(dst []float32, o int) { c.valuesGo(dst, o) }

// transposeRows writes dst[k·n + r] = rows[r·blockK + k] for 8 rows r and kc values k.
func transposeRows(dst, rows []float32, kc, n int) { transposeRowsGo(dst, rows, 0, kc, n) }
