package plot

import (
	"bytes"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	pdf "codeberg.org/go-pdf/fpdf"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgpdf"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The widths of a column and a page of two columns, as IEEE and MDPI print them, and the type on them.
const (
	columnWidth = 3.5 * vg.Inch
	pageWidth   = 7.16 * vg.Inch
	titleSize   = 9
	labelSize   = 8
	tickSize    = 7
	smallSize   = 6
	dpi         = 300
)

// palette is Okabe and Ito's, in the order in which groups take it: blue, orange, vermillion, green, purple, sky, yellow, black.
var palette = []color.RGBA{
	{0x00, 0x72, 0xB2, 0xFF}, {0xE6, 0x9F, 0x00, 0xFF}, {0xD5, 0x5E, 0x00, 0xFF}, {0x00, 0x9E, 0x73, 0xFF},
	{0xCC, 0x79, 0xA7, 0xFF}, {0x56, 0xB4, 0xE9, 0xFF}, {0xF0, 0xE4, 0x42, 0xFF}, {0x00, 0x00, 0x00, 0xFF},
}

var (
	ink  = color.RGBA{0x20, 0x20, 0x20, 0xFF}
	grey = color.RGBA{0x80, 0x80, 0x80, 0xFF}
	pale = color.RGBA{0xDD, 0xDD, 0xDD, 0xFF}
)

// hue is the i-th colour; beyond the palette the same ones again, paler.
func hue(i int) color.RGBA {
	c := palette[i%len(palette)]
	if round := i / len(palette); round > 0 {
		return faint(c, 1/(1+float64(round)))
	}
	return c
}

// faint is a colour mixed with white.
func faint(c color.RGBA, share float64) color.RGBA {
	mix := func(v uint8) uint8 { return uint8(math.Round(255 - share*(255-float64(v)))) }
	return color.RGBA{mix(c.R), mix(c.G), mix(c.B), 0xFF}
}

// typeface is Liberation Sans, which has Arial's metrics and comes with gonum.
func typeface(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

func style(size vg.Length, c color.Color) text.Style {
	return text.Style{Color: c, Font: typeface(size), Handler: plot.DefaultTextHandler}
}

// A key is one entry of a legend.
type key struct {
	name string
	hue  color.RGBA
}

// A sheet is what a figure is painted on: the axes, and a legend above them.
type sheet struct {
	*plot.Plot
	keys []key
}

func newSheet(p params) *sheet {
	s := &sheet{Plot: plot.New()}
	s.Title.Text = p.Title
	s.Title.TextStyle.Font = typeface(titleSize)
	s.Title.Padding = 3
	for _, a := range []*plot.Axis{&s.X, &s.Y} {
		a.Label.TextStyle.Font = typeface(labelSize)
		a.Label.TextStyle.Color = ink
		a.Tick.Label.Font = typeface(tickSize)
		a.Tick.Label.Color = ink
		a.LineStyle = draw.LineStyle{Color: ink, Width: 0.5}
		a.Tick.LineStyle = draw.LineStyle{Color: ink, Width: 0.5}
		a.Tick.Length = 3
		a.Padding = 2
	}
	return s
}

// paint draws the sheet with its legend.
func (s *sheet) paint(c draw.Canvas, rehearsal bool) {
	c.FillPolygon(color.White, []vg.Point{c.Min, {X: c.Max.X, Y: c.Min.Y}, c.Max, {X: c.Min.X, Y: c.Max.Y}})
	if rehearsal {
		watermark(c)
	}
	c = draw.Crop(c, 2, -4, 2, -2)
	if len(s.keys) > 0 {
		used := s.legend(c)
		c = draw.Crop(c, 0, 0, 0, -used)
	}
	s.BackgroundColor = color.Transparent
	s.Draw(c)
}

// legend draws the keys in lines along the upper edge and gives the height it took.
func (s *sheet) legend(c draw.Canvas) vg.Length {
	st := style(tickSize, ink)
	const box, gap, between = 7, 3, 10
	line := st.Height("Xg") + 3
	x, y := c.Min.X+4, c.Max.Y-line
	for _, k := range s.keys {
		w := box + gap + st.Width(k.name)
		if x+w > c.Max.X && x > c.Min.X+4 {
			x, y = c.Min.X+4, y-line
		}
		c.FillPolygon(k.hue, rectangle(x, y+1, x+box, y+1+box))
		st.YAlign = draw.YCenter
		c.FillText(st, vg.Point{X: x + box + gap, Y: y + 1 + box/2.}, k.name)
		x += w + between
	}
	return c.Max.Y - y + 4
}

func rectangle(x0, y0, x1, y1 vg.Length) []vg.Point {
	return []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}}
}

// watermark marks a figure that is no result, so that it cannot be cut off.
func watermark(c draw.Canvas) {
	size := (c.Max.X - c.Min.X) / 7
	st := style(size, color.RGBA{0xEC, 0xEC, 0xEC, 0xFF})
	st.XAlign, st.YAlign, st.Rotation = draw.XCenter, draw.YCenter, math.Pi/8
	c.FillText(st, vg.Point{X: (c.Min.X + c.Max.X) / 2, Y: (c.Min.Y + c.Max.Y) / 2}, "REHEARSAL")
}

// steady makes PDFs the same bytes every time: they would hold the time they were made.
var steady = sync.OnceFunc(func() {
	pdf.SetDefaultCreationDate(time.Unix(0, 0).UTC())
	pdf.SetDefaultModificationDate(time.Unix(0, 0).UTC())
	pdf.SetDefaultCatalogSort(true)
})

// write draws the figure in every format.
func (d drawing) write(dir string, p params, rehearsal bool) error {
	steady()
	w, h := columnWidth, vg.Length(d.height)
	if p.Page {
		w = pageWidth
	}
	if p.Height > 0 {
		h = vg.Length(p.Height) * vg.Inch
	}
	for _, f := range []struct {
		name string
		c    interface {
			vg.CanvasSizer
			io.WriterTo
		}
	}{
		{svgFile, vgsvg.NewWith(vgsvg.UseWH(w, h))},
		{pngFile, vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(dpi))}},
		{pdfFile, outlined{vgpdf.New(w, h)}},
	} {
		s := newSheet(p)
		if err := d.paint(s); err != nil {
			return err
		}
		s.paint(draw.New(f.c), rehearsal)
		var b bytes.Buffer
		if _, err := f.c.WriteTo(&b); err != nil {
			return err
		}
		raw := b.Bytes()
		if f.name == svgFile { // Arial and Helvetica have the same widths; embedding the font would take half a megabyte
			raw = bytes.ReplaceAll(raw, []byte("font-family:Liberation Sans"), []byte("font-family:Liberation Sans,Arial,Helvetica"))
		}
		if err := os.WriteFile(filepath.Join(dir, f.name), raw, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// painter adapts a function to gonum's Plotter: it is given the canvas inside the axes and the two transformations.
type painter func(c draw.Canvas, x, y func(float64) vg.Length)

// Plot implements plot.Plotter.
func (f painter) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	f(c, x, y)
}

// ticks are about n round numbers in [lo, hi] with as many decimals as they need.
type ticks int

// Ticks implements plot.Ticker.
func (n ticks) Ticks(lo, hi float64) []plot.Tick {
	if !(hi > lo) {
		return []plot.Tick{{Value: lo, Label: number(lo, 3)}}
	}
	raw := (hi - lo) / float64(n)
	size := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if m*size >= raw {
			size *= m
			break
		}
	}
	digits := 0
	for d := size; digits < 8 && math.Abs(d-math.Round(d)) > 1e-6; digits++ {
		d *= 10
	}
	var out []plot.Tick
	for i := math.Ceil(lo/size - 1e-9); i*size <= hi+1e-9*size; i++ {
		out = append(out, plot.Tick{Value: i * size, Label: number(i*size, digits)})
	}
	return out
}

// named are ticks at 0, 1, 2 … with names.
func named(names []string) plot.Ticker {
	var t plot.ConstantTicks
	for i, n := range names {
		t = append(t, plot.Tick{Value: float64(i), Label: n})
	}
	return t
}
