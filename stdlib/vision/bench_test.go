package vision

import (
	"bytes"
	"image/jpeg"
	"os"
	"path/filepath"
	"testing"
)

// The benchmarks report megapixels per second, to hold against testdata/bench_pillow.py on the same machine.

// benchFiles are the real images where they are at hand, else the largest of the goldens.
func benchFiles(b *testing.B) [][]byte {
	paths, _ := filepath.Glob(filepath.Join("../../../shared/data/radsample/test", "*.jpg"))
	if len(paths) == 0 {
		return [][]byte{readFiles(b)["jpeg/source.jpg"]}
	}
	var files [][]byte
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			b.Fatal(err)
		}
		files = append(files, data)
	}
	return files
}

func benchDecode(b *testing.B, decode func([]byte) (w, h int, err error)) {
	files := benchFiles(b)
	pixels := 0
	for b.Loop() {
		for _, data := range files {
			w, h, err := decode(data)
			if err != nil {
				b.Fatal(err)
			}
			pixels += w * h
		}
	}
	b.ReportMetric(float64(pixels)/1e6/b.Elapsed().Seconds(), "Mpx/s")
}

func BenchmarkDecodeJPEG(b *testing.B) {
	benchDecode(b, func(data []byte) (int, int, error) {
		im, err := Decode(data, "")
		if err != nil {
			return 0, 0, err
		}
		return im.W, im.H, nil
	})
}

// BenchmarkStandardLibraryJPEG is image/jpeg, which stops at YCbCr.
func BenchmarkStandardLibraryJPEG(b *testing.B) {
	benchDecode(b, func(data []byte) (int, int, error) {
		m, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil {
			return 0, 0, err
		}
		return m.Bounds().Dx(), m.Bounds().Dy(), nil
	})
}

func BenchmarkResize(b *testing.B) {
	for _, c := range []struct {
		name       string
		w, h, n, m int
	}{
		{"1024x768to448x336", 1024, 768, 448, 336},
		{"512x512to336x336", 512, 512, 336, 336},
		{"200x300to336x504", 200, 300, 336, 504},
	} {
		im := noise([3]int{c.w, c.h, 1})
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				im.Resize(c.n, c.m, Bicubic)
			}
		})
	}
}

func BenchmarkProcess(b *testing.B) {
	p := DefaultCLIPProcessor()
	p.Size.ShortestEdge, p.CropSize = 336, Size{Height: 336, Width: 336}
	im := noise([3]int{640, 512, 1})
	for b.Loop() {
		if _, err := p.Process(im); err != nil {
			b.Fatal(err)
		}
	}
}
