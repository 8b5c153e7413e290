// Package view is what a value can show of itself: tables, figures, images
// and text, as plain data.
//
// It knows the shapes of what is shown. It does not know how anything is
// rendered (runtime/report does) nor what the values are.
package view

// View is a Table, Figure, Image, Text or List.
type View interface{ view() }

// Viewer is implemented by handles that can be displayed. dirs are the
// artifact directories, parallel to the handle's Refs.
type Viewer interface {
	View(dirs []string) (View, error)
}

// Mark emphasises a cell.
type Mark uint8

const (
	None   Mark = iota
	Best        // bold
	Second      // underlined
)

// Align places a column's or cell's text.
type Align uint8

const (
	Default Align = iota // the column's; for a column, left
	Left
	Center
	Right
)

// Cell is one cell. Span is the number of columns it covers; 0 means 1.
type Cell struct {
	Text  string
	Mark  Mark
	Span  int
	Align Align
	Dim   bool // secondary text, e.g. a published number beside ours
	Spans []Span
}

// Span is a stretch of a cell's text in a colour.
type Span struct {
	Start, End int // bytes of Text; spans are in order and do not overlap
	Hue        Hue
	Sign       string // a letter that stands for the colour where there is none
	Name       string // what the colour means
	Match      bool   // bold
}

// Hue is one of a few colours that are told apart in every format.
type Hue uint8

// The hues.
const (
	NoHue Hue = iota
	Blue
	Red
	Green
	Magenta
	Yellow
	Cyan
	Gray
)

// Row is one line of a table.
type Row struct {
	Cells  []Cell
	Rule   bool // a line above
	Group  bool // a full-width group heading
	Change bool // shows a difference from the row above
}

// Table is a paper-style table: any number of header lines, rows, notes.
type Table struct {
	Title   string
	Caption string
	Header  [][]Cell
	Rows    []Row
	Footer  []string // notes below the table
	Legend  Cell     // what the colours of spans mean; stands before the notes
	Align   []Align  // by column

	// Full is what CSV gets instead of the shown texts: a header line and every
	// row with all digits, where Rows are a preview or rounded. May be nil.
	Full [][]string
}

// Text is Markdown.
type Text struct{ Markdown string }

// Image is a picture.
type Image struct {
	PNG     []byte
	Caption string
}

// Figure is a plot, as vectors and as pixels; any may be empty. Preview is a
// rough drawing in characters, for a terminal.
type Figure struct {
	SVG, PNG, PDF []byte
	Preview       string
	Caption       string
}

// List shows several views one after another.
type List []View

func (Table) view()  {}
func (Text) view()   {}
func (Image) view()  {}
func (Figure) view() {}
func (List) view()   {}
