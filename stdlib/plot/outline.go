package plot

import (
	"io"

	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	gonumfont "gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// outlined is a PDF canvas that draws texts with characters outside of ASCII as
// the outlines of their glyphs: vgpdf takes a text's bytes for Windows-1252 and
// would print R² as RÂ², and ρ is not in that code page at all.
type outlined struct{ pdfCanvas }

type pdfCanvas interface {
	vg.CanvasSizer
	io.WriterTo
}

// FillString implements vg.Canvas.
func (c outlined) FillString(f gonumfont.Face, pt vg.Point, text string) {
	for _, r := range text {
		if r >= 0x80 {
			c.glyphs(f, pt, text)
			return
		}
	}
	c.pdfCanvas.FillString(f, pt, text)
}

// glyphs fills the outlines of a text whose base line begins at pt.
func (c outlined) glyphs(f gonumfont.Face, pt vg.Point, text string) {
	var buf sfnt.Buffer
	ppem := f.Face.UnitsPerEm() // in units of the font nothing is rounded
	scale := f.Font.Size / vg.Length(ppem)
	x := pt.X
	for _, r := range text {
		g, err := f.Face.GlyphIndex(&buf, r)
		if err != nil {
			continue
		}
		segments, err := f.Face.LoadGlyph(&buf, g, fixed.I(int(ppem)), nil)
		if err != nil {
			continue
		}
		at := func(p fixed.Point26_6) vg.Point { // sfnt's y grows downwards
			return vg.Point{X: x + scale*vg.Length(p.X)/64, Y: pt.Y - scale*vg.Length(p.Y)/64}
		}
		var path vg.Path
		for _, s := range segments {
			switch s.Op {
			case sfnt.SegmentOpMoveTo:
				if len(path) > 0 {
					path.Close()
				}
				path.Move(at(s.Args[0]))
			case sfnt.SegmentOpLineTo:
				path.Line(at(s.Args[0]))
			case sfnt.SegmentOpQuadTo:
				path.QuadTo(at(s.Args[0]), at(s.Args[1]))
			case sfnt.SegmentOpCubeTo:
				path.CubeTo(at(s.Args[0]), at(s.Args[1]), at(s.Args[2]))
			}
		}
		if len(path) > 0 {
			path.Close()
			c.Fill(path)
		}
		if advance, err := f.Face.GlyphAdvance(&buf, g, fixed.I(int(ppem)), font.HintingNone); err == nil {
			x += scale * vg.Length(advance) / 64
		}
	}
}
