package data

import (
	"io"
	"os"
	"path/filepath"
	"sync"

	"lightbox/runtime/step"
	"lightbox/stdlib/vision"
)

// A Look is what an example costs a model: the size of its image, and the lengths of its texts in bytes.
type Look struct {
	Image         bool
	Width, Height int // 0, 0: the image's header was not read
	Prompt        int // 0: the verb's
	Caption       int
}

// glimpsed is the most examples that Glimpse looks at.
const glimpsed = 64

// Glimpse looks at some examples of a split ("": of any) of the set behind ref, evenly spaced, told as Count tells its
// numbers: from options, tables and headers of images, no step is run. Nil: nothing is known.
func Glimpse(ref step.Ref, split string) []Look { return glimpse(ref, split, glimpsed) }

func glimpse(ref step.Ref, split string, n int) []Look {
	if !ref.Valid() || len(ref.Errors()) > 0 || n < 1 {
		return nil
	}
	s := ref.Step()
	switch p := s.Params.(type) {
	case PhantomOptions:
		return glimpsePhantom(p, split, n)
	case rocoParams:
		return glimpseROCO(p.Dir, split, n)
	case folderParams:
		return glimpseFolder(p.Dir, split, n)
	case imagesParams:
		return spread(len(p.Paths), n, func(i int) Look { return lookAt(p.Paths[i], Example{}) })
	case splitParams:
		if split != "" && split != p.Name {
			return nil
		}
		split = p.Name
	}
	if len(s.In) == 0 {
		return nil
	}
	if s.Op == joinOp {
		return glimpseJoin(s.In, split, n)
	}
	looks := glimpse(s.In[0], split, n)
	if p, ok := s.Params.(Standard); ok {
		for i := range looks {
			if looks[i].Width == 0 {
				continue
			}
			looks[i].Width, looks[i].Height = vision.StandardSize(looks[i].Width, looks[i].Height, p.LongestSide, p.Square)
		}
	}
	return looks
}

// spread calls look for at most n of total indices, evenly spaced.
func spread(total, n int, look func(i int) Look) []Look {
	n = min(n, total)
	out := make([]Look, n)
	for k := range out {
		out[k] = look(k * total / n)
	}
	return out
}

// glimpseJoin takes of each set its share.
func glimpseJoin(refs []step.Ref, split string, n int) []Look {
	sizes, total := make([]int, len(refs)), 0
	for i, r := range refs {
		counts, _ := Count(r)
		if sizes[i] = counts[split]; split == "" {
			sizes[i] = Total(counts)
		}
		total += sizes[i]
	}
	var out []Look
	for i, r := range refs {
		if sizes[i] > 0 {
			out = append(out, glimpse(r, split, (sizes[i]*n+total-1)/total)...)
		}
	}
	return out
}

func glimpsePhantom(o PhantomOptions, split string, n int) []Look {
	counts := map[string]int{"train": o.Train, "valid": o.Valid, "test": o.Test}
	if o.Size == 0 {
		o.Size = defaultPhantomSize
	}
	text := 0
	if split == "" || split == "train" {
		text = o.Glossary + o.Reports
	}
	total := text
	for _, name := range splitNames {
		if split == "" || split == name {
			total += counts[name]
		}
	}
	var out []Look
	for _, name := range splitNames {
		if k := counts[name]; k > 0 && (split == "" || split == name) {
			out = append(out, spread(k, (k*n+total-1)/total, func(i int) Look {
				return Look{Image: true, Width: o.Size, Height: o.Size, Caption: len(phantomExample(o, name, i).Caption)}
			})...)
		}
	}
	if text == 0 {
		return out
	}
	return append(out, spread(text, (text*n+total-1)/total, func(i int) Look {
		q, a := glossary(i)
		if i >= o.Glossary {
			q, a = report(o.Seed, i-o.Glossary)
		}
		return Look{Prompt: len(q), Caption: len(a)}
	})...)
}

func glimpseFolder(dir, split string, n int) []Look {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil
	}
	rd, err := readFolder(root)
	if err != nil {
		return nil
	}
	var in []Example
	for _, ex := range rd.examples {
		if split == "" || ex.Split == split {
			in = append(in, ex)
		}
	}
	return spread(len(in), n, func(i int) Look { return lookAt(in[i].Image, in[i]) })
}

func glimpseROCO(dir, split string, n int) []Look {
	splits := []string{split}
	if split == "" {
		splits = splitNames
	}
	var out []Look
	for _, name := range splits {
		out = append(out, glimpseTable(dir, name, n)...)
	}
	return out
}

var glimpses sync.Map // csvKey -> []Look

// glimpseTable reads a captions table and the headers of some of its images.
func glimpseTable(dir, split string, n int) []Look {
	file := captionsFile(dir, split)
	st, err := os.Stat(file)
	if err != nil {
		return nil
	}
	key := csvKey{file, st.Size(), st.ModTime().UnixNano()}
	if got, ok := glimpses.Load(key); ok {
		return got.([]Look)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	r := newCSV(raw)
	header, err := r.Read()
	if err != nil {
		return nil
	}
	at, err := columns(file, header, "ID", "Caption")
	if err != nil {
		return nil
	}
	var in []Example
	for {
		row, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil || len(row) <= max(at[0], at[1]) {
			return nil
		}
		in = append(in, Example{ID: row[at[0]], Caption: row[at[1]]})
	}
	out := spread(len(in), n, func(i int) Look { return lookAt(rocoImage(dir, split, in[i].ID), in[i]) })
	glimpses.Store(key, out)
	return out
}

// rocoImage is the file of an image, "" where it is not found at once.
func rocoImage(dir, split, id string) string {
	for _, d := range imageDirs(dir, split) {
		for _, ext := range []string{"", ".jpg", ".png", ".jpeg"} {
			if path := filepath.Join(d, id+ext); fileExists(path) {
				return path
			}
		}
	}
	return filepath.Join(dir, id)
}

// lookAt reads the header of the example's image.
func lookAt(path string, ex Example) Look {
	l := Look{Image: path != "", Prompt: len(ex.Prompt), Caption: len(ex.Caption)}
	if w, h, err := imageSize(path); err == nil {
		l.Width, l.Height = w, h
	}
	return l
}
