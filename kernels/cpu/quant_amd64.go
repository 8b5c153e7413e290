package cpu

// values writes the values of the elements from o on, by runs of whole blocks where it can.
func (c *Codes) values(dst []float32, o int) {
	if Current() == Go {
		c.valuesGo(dst, o)
		return
	}
	var scales [64]float32
	for len(dst) > 0 {
		b := o / c.Block
		n := min(len(dst), (b+1)*c.Block-o)
		blocks := 1
		if n == c.Block {
			blocks = min(len(dst)/c.Block, len(scales))
			n *= blocks
		}
		each := n / blocks
		if each%16 != 0 { // what is left of a block, or odd blocks
			blocks, n = 1, each
		}
		whole := each / 16
		if c.Map != nil && o&1 != 0 {
			whole = 0
		}
		c.scalesOf(scales[:blocks], b)
		switch {
		case whole == 0:
		case c.Map != nil:
			dequant4AVX2(blocks, whole, &c.Raw[o/2], &c.Map[0], &scales[0], &dst[0])
		default:
			dequant8AVX2(blocks, whole, &c.Raw[o], &scales[0], &dst[0])
		}
		if done := whole * 16; done < each { // then there is one block
			c.piece(dst[done:n], o+done, scales[0])
		}
		dst, o = dst[n:], o+n
	}
}

// transposeRows writes dst[k·n + r] = rows[r·blockK + k] for 8 rows r and kc values k.
func transposeRows(dst, rows []float32, kc, n int) {
	if k8 := kc / 8; k8 > 0 {
		packT8F32AVX2(k8, &rows[0], 4*blockK, &dst[0], 4*n)
	}
	transposeRowsGo(dst, rows, kc&^7, kc, n)
}
