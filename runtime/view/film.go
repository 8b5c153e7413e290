package view

// Film is one picture and what was written about it: the reference and every
// system's caption.
type Film struct {
	ID        string // the example's
	Image     string // reference of the picture, for Captioned.Picture; may be ""
	Picture   []byte // PNG or JPEG; may be empty: not loaded
	Modality  string // "" when unknown
	Reference string
	Captions  []Caption
}

// Caption is what one system wrote about a film.
type Caption struct {
	Labels [][2]string // key and value, as they tell systems apart; without empty values
	Text   string
	Image  string      // reference of the picture that the system saw
	Scores [][2]string // name and value, for reading
}

// Captioned is implemented by handles whose rows may be captions of pictures.
type Captioned interface {
	Viewer
	// Strip gives every example with its captions, in order, without pixels;
	// none if the value holds no captions. dirs are as in View.
	Strip(dirs []string) ([]Film, error)
	// Picture is the PNG behind a reference; nil without an error where
	// pictures cannot be had.
	Picture(image string) ([]byte, error)
}
