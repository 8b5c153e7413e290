package cpu

// Products with a quantised B: its values are computed into a few rows that stay in the first-level cache, and packed from
// there. So the sums are those of the dequantised matrix, bit for bit.

// packCodes is packB of a quantised B.
func packCodes(s *packSpace, g GemmArgs, t *tiles, pc, kc, jc, nc int) {
	if g.TransB {
		packCodeColumns(s, g, t, pc, kc, jc, nc)
		return
	}
	width := 2 * t.lanes
	row := s.rows[:(nc+t.lanes-1)/t.lanes*t.lanes] // of B, as wide as the panels
	clear(row[nc:])
	for k := range kc {
		g.B.Codes.values(row[:nc], (pc+k)*g.LDB+jc)
		for jr := 0; jr < nc; jr += width {
			n := panelWidth(t, nc-jr)
			copy(s.b[jr*kc+k*n:jr*kc+k*n+n], row[jr:])
		}
	}
}

// packCodeColumns is packCodes of a B that is stored by columns (N, K), eight of them at a time.
func packCodeColumns(s *packSpace, g GemmArgs, t *tiles, pc, kc, jc, nc int) {
	width := 2 * t.lanes
	for jr := 0; jr < nc; jr += width {
		n := panelWidth(t, nc-jr)
		for j := jr; j < jr+n; j += 8 {
			codeRows(s.rows, g, jc+j, min(8, nc-j), pc, kc)
			transposeRows(s.b[jr*kc+j-jr:], s.rows, kc, n)
		}
	}
}

// panelWidth is how wide the panel is in which left columns remain.
func panelWidth(t *tiles, left int) int {
	if left <= t.lanes {
		return t.lanes
	}
	return 2 * t.lanes
}

// codeRows writes values [k0, k0+kc) of rows [j, j+m) of a B (N, K), blockK apart; m may be less than 8, or none, and rows
// from there on are zero.
func codeRows(rows []float32, g GemmArgs, j, m, k0, kc int) {
	for r := range 8 {
		row := rows[r*blockK : r*blockK+kc]
		if r < m {
			g.B.Codes.values(row, (j+r)*g.LDB+k0)
		} else {
			clear(row)
		}
	}
}

// transposeRowsGo writes dst[k·n + r] = rows[r·blockK + k] for 8 rows r and values k from from to kc.
func transposeRowsGo(dst, rows []float32, from, kc, n int) {
	for k := from; k < kc; k++ {
		for r := range 8 {
			dst[k*n+r] = rows[r*blockK+k]
		}
	}
}
