package vision

import (
	"errors"
	"fmt"
)

// scan is one pass over some components.
type scan struct {
	comps    []*component
	from, to int // band of coefficients in zigzag order
	high     int // bit position of the previous pass over the band, 0 for the first
	low      int // bit position of this pass
	eobRun   int // blocks left in a run of ended bands
	restarts int // restart markers met, modulo 8
	left     int // MCUs until the next restart
}

// readScan reads a scan header and the compressed data after it.
func (d *jpegDecoder) readScan() error {
	if d.comps == nil {
		return errors.New("damaged JPEG: a scan comes before the frame header")
	}
	body, err := d.segment()
	if err != nil {
		return err
	}
	s, err := d.scanHeader(body)
	if err != nil {
		return err
	}
	if !d.multiScan && d.comps[0].plane == nil {
		d.multiScan = d.progressive || len(s.comps) < len(d.comps)
		d.allocate()
		if !d.progressive {
			if err := d.addStandardTables(); err != nil {
				return err
			}
		}
	}
	if err := d.prepare(s); err != nil {
		return err
	}
	d.bits.reset(d.data, d.pos)
	s.left = d.restartInterval
	if len(s.comps) == 1 {
		err = d.scanAlone(s)
	} else {
		err = d.scanInterleaved(s)
	}
	d.pos = d.bits.pos
	return err
}

// scanHeader reads which components, tables and coefficients a scan is about.
func (d *jpegDecoder) scanHeader(body []byte) (*scan, error) {
	if len(body) < 1 {
		return nil, errors.New("damaged JPEG: empty scan header")
	}
	n := int(body[0])
	if n < 1 || n > len(d.comps) || len(body) != 4+2*n {
		return nil, fmt.Errorf("damaged JPEG: scan header of %d bytes for %d of %d components", len(body), n, len(d.comps))
	}
	s := &scan{}
	blocks := 0
	for i := range n {
		id, tables := int(body[1+2*i]), body[2+2*i]
		c := d.component(id, s.comps)
		if c == nil {
			return nil, fmt.Errorf("damaged JPEG: a scan names component %d, which the frame lacks or the scan names twice", id)
		}
		c.dcTable, c.acTable = int(tables>>4), int(tables&15)
		s.comps = append(s.comps, c)
		blocks += c.h * c.v
	}
	if n > 1 && blocks > 10 {
		return nil, fmt.Errorf("damaged JPEG: %d blocks in a unit of the scan, want at most 10", blocks)
	}
	tail := body[1+2*n:]
	s.from, s.to, s.high, s.low = int(tail[0]), int(tail[1]), int(tail[2]>>4), int(tail[2]&15)
	return s, nil
}

// component finds a component by its id among those not in used.
func (d *jpegDecoder) component(id int, used []*component) *component {
next:
	for i := range d.comps {
		c := &d.comps[i]
		if c.id != id {
			continue
		}
		for _, u := range used {
			if u == c {
				continue next
			}
		}
		return c
	}
	return nil
}

// allocate makes room for the samples, and for the coefficients where they come in several scans.
func (d *jpegDecoder) allocate() {
	for i := range d.comps {
		c := &d.comps[i]
		c.plane = make([]byte, c.stride*8*c.blocksH)
		if d.multiScan {
			c.coefs = make([]block, c.coefStride*d.mcusH*c.v)
		}
	}
}

// prepare checks a scan against what came before it, and latches tables.
func (d *jpegDecoder) prepare(s *scan) error {
	if d.progressive {
		if err := s.checkProgression(); err != nil {
			return err
		}
	} else {
		s.from, s.to, s.high, s.low = 0, 63, 0, 0 // some encoders write zeros here; libjpeg ignores them too
	}
	for _, c := range s.comps {
		c.scanned, c.dc = true, 0
		if c.quant == nil {
			if c.quantIndex > 3 || d.quant[c.quantIndex] == nil {
				return fmt.Errorf("damaged JPEG: quantisation table %d of component %d is missing", c.quantIndex, c.index)
			}
			c.quant = d.quant[c.quantIndex]
		}
		if s.from == 0 && s.high == 0 && (c.dcTable > 3 || d.dcTrees[c.dcTable] == nil) {
			return fmt.Errorf("damaged JPEG: DC Huffman table %d of component %d is missing", c.dcTable, c.index)
		}
		if s.to > 0 && (c.acTable > 3 || d.acTrees[c.acTable] == nil) {
			return fmt.Errorf("damaged JPEG: AC Huffman table %d of component %d is missing", c.acTable, c.index)
		}
		for k := s.from; k <= s.to; k++ {
			c.bits[k] = s.low
		}
	}
	return nil
}

// checkProgression applies the rules of T.81 G.1.1.1 that libjpeg treats as errors.
func (s *scan) checkProgression() error {
	bad := s.low > 13 || s.high != 0 && s.low != s.high-1
	if s.from == 0 {
		bad = bad || s.to != 0
	} else {
		bad = bad || s.from > s.to || s.to > 63 || len(s.comps) != 1
	}
	if bad {
		return fmt.Errorf("damaged JPEG: progressive scan of coefficients %d to %d, bits %d to %d, with %d components", s.from, s.to, s.high, s.low, len(s.comps))
	}
	return nil
}

// restart is called before each MCU. Where a restart interval ends it skips to the marker and resets predictions.
func (d *jpegDecoder) restart(s *scan) error {
	if d.restartInterval == 0 {
		return nil
	}
	if s.left > 0 {
		s.left--
		return nil
	}
	if err := d.bits.check(); err != nil {
		return err
	}
	d.pos = d.bits.pos
	m, err := d.nextMarker()
	if err != nil {
		return err
	}
	if m != markerRST0+s.restarts {
		return fmt.Errorf("damaged JPEG: marker ff%02x where restart marker %d is due", m, s.restarts)
	}
	s.restarts = (s.restarts + 1) & 7
	s.left, s.eobRun = d.restartInterval-1, 0
	for _, c := range s.comps {
		c.dc = 0
	}
	d.bits.reset(d.data, d.pos)
	return nil
}

// scanAlone decodes a scan of one component, whose MCU is one block and which has no blocks outside of the image.
func (d *jpegDecoder) scanAlone(s *scan) error {
	c := s.comps[0]
	var b block
	for y := range c.blocksH {
		for x := range c.blocksW {
			if err := d.restart(s); err != nil {
				return err
			}
			if d.multiScan {
				d.decodeBlock(s, c, &c.coefs[y*c.coefStride+x])
				continue
			}
			b = block{}
			columns := d.decodeSequential(c, &b)
			inverseDCT(&b, columns, c.quant, c.plane[8*y*c.stride+8*x:], c.stride)
		}
		if err := d.bits.check(); err != nil {
			return err
		}
	}
	return nil
}

// scanInterleaved decodes a scan of several components. Blocks beyond the image's edge are decoded and, without
// a later scan to refine them, dropped.
func (d *jpegDecoder) scanInterleaved(s *scan) error {
	for my := range d.mcusH {
		for mx := range d.mcusW {
			if err := d.restart(s); err != nil {
				return err
			}
			for _, c := range s.comps {
				d.decodeUnit(s, c, mx*c.h, my*c.v)
			}
		}
		if err := d.bits.check(); err != nil {
			return err
		}
	}
	return nil
}

// decodeUnit decodes one component's blocks of an MCU, the first one at (bx, by).
func (d *jpegDecoder) decodeUnit(s *scan, c *component, bx, by int) {
	var b block
	for y := by; y < by+c.v; y++ {
		for x := bx; x < bx+c.h; x++ {
			if d.multiScan {
				d.decodeBlock(s, c, &c.coefs[y*c.coefStride+x])
				continue
			}
			b = block{}
			columns := d.decodeSequential(c, &b)
			if x < c.blocksW && y < c.blocksH {
				inverseDCT(&b, columns, c.quant, c.plane[8*y*c.stride+8*x:], c.stride)
			}
		}
	}
}

// decodeBlock decodes what the scan says about one block.
func (d *jpegDecoder) decodeBlock(s *scan, c *component, b *block) {
	switch {
	case !d.progressive:
		d.decodeSequential(c, b)
	case s.from == 0 && s.high == 0:
		d.decodeDCFirst(s, c, b)
	case s.from == 0:
		if d.bits.bit() {
			b[0] |= 1 << uint(s.low)
		}
	case s.high == 0:
		d.decodeACFirst(s, c, b)
	default:
		d.decodeACRefine(s, c, b)
	}
}

// decodeSequential decodes all coefficients of a zeroed block (T.81 F.2.2). It returns which columns got one below
// the first row. This is where most of the time goes, so the bit reader's state is kept in locals.
func (d *jpegDecoder) decodeSequential(c *component, b *block) (columns uint8) {
	r := &d.bits
	if n := r.symbol(d.dcTrees[c.dcTable]); n > 0 {
		c.dc += r.extend(n)
	}
	b[0] = int16(c.dc)
	t := d.acTrees[c.acTable]
	acc, left := r.acc, r.n
	for k := 1; k < 64; k++ {
		if left < 32 {
			r.acc, r.n = acc, left
			r.fill(8)
			acc, left = r.acc, r.n
		}
		e := t.look[acc>>(64-lookBits)]
		sym := int(e & 255)
		if e == 0 {
			r.acc, r.n = acc, left
			sym = r.longSymbol(t)
			acc, left = r.acc, r.n
		} else {
			acc <<= e >> 8
			left -= int(e >> 8)
		}
		run, n := sym>>4, sym&15
		if n == 0 {
			if run != 15 {
				break
			}
			k += 15
			continue
		}
		k += run
		if k > 63 {
			r.fail(errBadRun)
			break
		}
		if left < n {
			r.acc, r.n = acc, left
			r.fill(n)
			acc, left = r.acc, r.n
		}
		v := int(acc >> uint(64-n))
		acc <<= uint(n)
		left -= n
		if v < 1<<uint(n-1) {
			v -= 1<<uint(n) - 1
		}
		at := naturalOrder[k]
		b[at&63] = int16(v)
		columns |= lowerColumn[k]
	}
	r.acc, r.n = acc, left
	return columns
}

// decodeDCFirst decodes the upper bits of a DC coefficient (T.81 G.1.2.1).
func (d *jpegDecoder) decodeDCFirst(s *scan, c *component, b *block) {
	if n := d.bits.symbol(d.dcTrees[c.dcTable]); n > 0 {
		c.dc += d.bits.extend(n)
	}
	b[0] = int16(c.dc << uint(s.low))
}

// decodeACFirst decodes the upper bits of a band of coefficients (T.81 G.1.2.2).
func (d *jpegDecoder) decodeACFirst(s *scan, c *component, b *block) {
	if s.eobRun > 0 {
		s.eobRun--
		return
	}
	r, t := &d.bits, d.acTrees[c.acTable]
	for k := s.from; k <= s.to; k++ {
		sym := r.symbol(t)
		run, n := sym>>4, sym&15
		if n == 0 {
			if run != 15 {
				s.eobRun = 1<<uint(run) + r.take(run) - 1
				return
			}
			k += 15
			continue
		}
		k += run
		if k > 63 {
			r.fail(errBadRun)
			return
		}
		b[naturalOrder[k]] = int16(r.extend(n) << uint(s.low))
	}
}

// decodeACRefine decodes one more bit of a band of coefficients (T.81 G.1.2.3).
func (d *jpegDecoder) decodeACRefine(s *scan, c *component, b *block) {
	r, t := &d.bits, d.acTrees[c.acTable]
	plus := int16(1) << uint(s.low)
	k := s.from
	for ; s.eobRun == 0 && k <= s.to; k++ {
		sym := r.symbol(t)
		run, n := sym>>4, sym&15
		var fresh int16
		if n != 0 {
			if n != 1 {
				r.fail(errBadCode)
				return
			}
			fresh = -plus
			if r.bit() {
				fresh = plus
			}
		} else if run != 15 {
			s.eobRun = 1<<uint(run) + r.take(run)
			break
		}
		k = r.refine(b, k, s.to, run, plus)
		if fresh != 0 {
			if k > s.to {
				r.fail(errBadRun)
				return
			}
			b[naturalOrder[k]] = fresh
		}
	}
	if s.eobRun > 0 {
		r.refine(b, k, s.to, 64, plus)
		s.eobRun--
	}
}

// refine adds a correction bit to each nonzero coefficient from k on, passing over run zero ones. It returns the
// place of the zero coefficient after those, or to+1.
func (r *bitReader) refine(b *block, k, to, run int, plus int16) int {
	for ; k <= to; k++ {
		p := &b[naturalOrder[k]]
		if *p == 0 {
			if run == 0 {
				return k
			}
			run--
			continue
		}
		if !r.bit() || *p&plus != 0 {
			continue
		}
		if *p >= 0 {
			*p += plus
		} else {
			*p -= plus
		}
	}
	return k
}
