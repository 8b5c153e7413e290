package vision

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// golden is testdata/golden.json, made by testdata/make_golden.py with Pillow 13.0.0 and transformers 5.23.0.
type golden struct {
	Decoded []struct {
		Name   string
		Size   [2]int
		SHA256 string
	}
	Bad []struct {
		Name, Pillow string
	}
	Oriented []struct {
		Name, SHA256 string
	}
	Resized []struct {
		Source [3]int
		Size   [2]int
		Filter string
		SHA256 string
	}
	RadsampleProcessed string `json:"radsample_processed"`
	Processed          []struct {
		Name   string
		Config json.RawMessage
		Source [3]int
		Size   [2]int
		SHA256 string
	}
}

func readGolden(t testing.TB) golden {
	t.Helper()
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// readFiles unpacks testdata/files.zip.
func readFiles(t testing.TB) map[string][]byte {
	t.Helper()
	z, err := zip.OpenReader("testdata/files.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := make(map[string][]byte)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		files[f.Name] = data
	}
	return files
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// noise rebuilds the sources of make_golden.py: the top bytes of a linear congruential generator.
func noise(s [3]int) *Image {
	im := New(s[0], s[1])
	x := uint32(s[2])
	for i := range im.Pix {
		x = x*1664525 + 1013904223
		im.Pix[i] = byte(x >> 24)
	}
	return im
}

func TestDecodeEqualsPillow(t *testing.T) {
	files := readFiles(t)
	for _, want := range readGolden(t).Decoded {
		t.Run(want.Name, func(t *testing.T) {
			im, err := Decode(files[want.Name], want.Name)
			if err != nil {
				t.Fatal(err)
			}
			if im.W != want.Size[0] || im.H != want.Size[1] {
				t.Fatalf("got %dx%d, want %v", im.W, im.H, want.Size)
			}
			if got := sum(im.Pix); got != want.SHA256 {
				t.Errorf("pixels differ from Pillow's: got %s, want %s", got, want.SHA256)
			}
		})
	}
}

// Every bad file is one error that names the file and says what is wrong.
func TestDecodeBad(t *testing.T) {
	files := readFiles(t)
	want := map[string]string{
		"bad/empty.jpg":                         "empty file",
		"bad/text.jpg":                          "not an image that can be read: it begins with 74 68 69 73",
		"bad/html.png":                          "not an image",
		"bad/jpeg_cut_2.jpg":                    "not an image",
		"bad/jpeg_cut_777.jpg":                  "truncated JPEG",
		"bad/jpeg_cut_but_ended.jpg":            "truncated or damaged JPEG",
		"bad/jpeg_progressive_cut.jpg":          "truncated JPEG",
		"bad/jpeg_progressive_without_end.jpg":  "truncated JPEG",
		"bad/jpeg_progressive_missing_scan.jpg": "the last scans of a progressive image are missing",
		"bad/jpeg_lying_height.jpg":             "the header claims 40x65535 pixels, the file has only",
		"bad/jpeg_lying_both.jpg":               "the header claims 65535x65535 pixels, more than the 178956970 allowed",
		"bad/jpeg_twice_as_high.jpg":            "truncated or damaged JPEG",
		"bad/jpeg_zero_height.jpg":              "claims 40x0 pixels",
		"bad/jpeg_12bit.jpg":                    "12 bits per sample",
		"bad/jpeg_arithmetic.jpg":               "arithmetic-coded JPEG is not supported: convert",
		"bad/jpeg_lossless.jpg":                 "lossless JPEG (SOF3) is not supported: convert",
		"bad/jpeg_two_components.jpg":           "2 colour components",
		"bad/jpeg_fractional.jpg":               "fractional sampling",
		"bad/jpeg_no_quant.jpg":                 "quantisation table 0 of component 0 is missing",
		"bad/jpeg_restart_order.jpg":            "where restart marker 1 is due",
		"bad/png_cut_8.png":                     "truncated or damaged PNG",
		"bad/png_cut_209.png":                   "truncated PNG",
		"bad/png_lying.png":                     "the header claims 12000x12000 pixels, the file has only",
		"bad/png_absurd.png":                    "more than the 178956970 allowed",
		"bad/png_zero.png":                      "claims 0x5 pixels",
		"bad/png_checksum.png":                  "PNG",
		"bad/webp_animated.webp":                "animated WebP is not supported: convert",
		"bad/jpeg_no_tables.jpg":                "DC Huffman table 0 of component 0 is missing",
		"bad/tiff_fax.tif":                      "TIFF with fax compression is not supported: convert",
		"bad/tiff_orientation.tif":              "TIFF with orientation is not supported: convert",
		"bad/gif_huge_screen.gif":               "the header claims 60000x2900 pixels, the file has only",
	}
	for _, bad := range readGolden(t).Bad {
		_, err := Decode(files[bad.Name], bad.Name)
		if err == nil {
			t.Errorf("%s: no error; Pillow says %q", bad.Name, bad.Pillow)
			continue
		}
		text := err.Error()
		if !strings.HasPrefix(text, bad.Name+": ") || strings.ContainsAny(text, "\n") || strings.HasSuffix(text, ".") {
			t.Errorf("%s: the error should begin with the name and be one line: %q", bad.Name, text)
		}
		if !strings.Contains(text, want[bad.Name]) {
			t.Errorf("%s: got %q, want it to say %q", bad.Name, text, want[bad.Name])
		}
		delete(want, bad.Name)
	}
	for name := range want {
		t.Errorf("%s is not in the goldens", name)
	}
}

// Every proper prefix of a file is an error, never a panic or a picture with parts made up, except where only
// bytes after the last sample are missing.
func TestDecodeEveryPrefix(t *testing.T) {
	files := readFiles(t)
	for _, name := range []string{
		"jpeg/pillow_sub2_17x15.jpg", "jpeg/pillow_sub2_progressive.jpg", "jpeg/forged_420_restart.jpg",
		"jpeg/pillow_cmyk_q30.jpg", "png/color2_depth8_inter1.png", "gif/full.gif", "bmp/palette.bmp",
		"tiff/rgb_tiff_lzw.tif", "webp/lossy_23x17.webp", "webp/lossless_23x17.webp",
	} {
		data := files[name]
		whole, err := Decode(data, name)
		if err != nil {
			t.Fatal(err)
		}
		step := max(1, len(data)/300)
		for n := 0; n < len(data); n += step {
			im, err := Decode(data[:n], name)
			if err == nil && !bytes.Equal(im.Pix, whole.Pix) {
				t.Errorf("%s cut to %d of %d bytes gives other pixels and no error", name, n, len(data))
			}
		}
	}
}

func sharedDir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("LIGHTBOX_SHARED"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		try := filepath.Join(dir, "shared")
		if _, err := os.Stat(filepath.Join(try, "data")); err == nil {
			return try
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Skip("no shared/data beside this repository and LIGHTBOX_SHARED is not set")
		}
		dir = up
	}
}

// All 540 real images of radsample decode to Pillow's bytes.
func TestDecodeRadsample(t *testing.T) {
	root := filepath.Join(sharedDir(t), "data", "radsample")
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no %s", root)
	}
	f, err := os.Open("testdata/radsample.sha256")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for sc := bufio.NewScanner(f); sc.Scan(); n++ {
		var want, name string
		var w, h int
		if _, err := fmt.Sscan(sc.Text(), &want, &w, &h, &name); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		im, err := Decode(data, name)
		if err != nil {
			t.Error(err)
			continue
		}
		if im.W != w || im.H != h || sum(im.Pix) != want {
			t.Errorf("%s: pixels differ from Pillow's", name)
		}
	}
	if n != 540 {
		t.Errorf("checked %d images, want 540", n)
	}
}

func TestOrientation(t *testing.T) {
	files := readFiles(t)
	for _, want := range readGolden(t).Oriented {
		data := files[want.Name]
		o := Orientation(data)
		if got := int(filepath.Base(want.Name)[0] - '0'); o != got {
			t.Errorf("%s: got orientation %d, want %d", want.Name, o, got)
		}
		if want.SHA256 == "" {
			continue // TIFF, which is refused when it is turned
		}
		im, err := Decode(data, want.Name)
		if err != nil {
			t.Error(err)
			continue
		}
		if sum(im.Orient(o).Pix) != want.SHA256 {
			t.Errorf("%s: pixels differ from exif_transpose's", want.Name)
		}
	}
}

func filterNamed(t *testing.T, name string) Filter {
	for f := Nearest; f <= Hamming; f++ {
		if f.String() == name {
			return f
		}
	}
	t.Fatalf("no filter %q", name)
	return 0
}

func TestResizeEqualsPillow(t *testing.T) {
	for _, want := range readGolden(t).Resized {
		im := noise(want.Source).Resize(want.Size[0], want.Size[1], filterNamed(t, want.Filter))
		if im.W != want.Size[0] || im.H != want.Size[1] || sum(im.Pix) != want.SHA256 {
			t.Errorf("%v to %v with %s: pixels differ from Pillow's", want.Source, want.Size, want.Filter)
		}
	}
}

// bytes are the floats in little-endian order.
func (p Pixels) bytes() []byte {
	raw := make([]byte, 4*len(p.Data))
	for i, v := range p.Data {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	return raw
}

// Every ninth real image, from the file to the floats of LLaVA-1.5, without and with padding.
func TestProcessRadsample(t *testing.T) {
	root := filepath.Join(sharedDir(t), "data", "radsample")
	paths, _ := filepath.Glob(filepath.Join(root, "*", "*.jpg"))
	if len(paths) == 0 {
		t.Skipf("no %s", root)
	}
	total := sha256.New()
	for i := 0; i < len(paths); i += 9 {
		data, err := os.ReadFile(paths[i])
		if err != nil {
			t.Fatal(err)
		}
		im, err := Decode(data, paths[i])
		if err != nil {
			t.Fatal(err)
		}
		p := DefaultCLIPProcessor()
		p.Size, p.CropSize = Size{ShortestEdge: 336}, Size{Height: 336, Width: 336}
		for _, p.PadToSquare = range []bool{false, true} {
			px, err := p.Process(im)
			if err != nil {
				t.Fatal(err)
			}
			total.Write(px.bytes())
		}
	}
	if got, want := hex.EncodeToString(total.Sum(nil)), readGolden(t).RadsampleProcessed; got != want {
		t.Errorf("floats differ from transformers': got %s, want %s", got, want)
	}
}

func TestCLIPProcessorEqualsTransformers(t *testing.T) {
	for _, want := range readGolden(t).Processed {
		p, err := ParseCLIPProcessor(want.Config, want.Name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Process(noise(want.Source))
		if err != nil {
			t.Fatal(err)
		}
		if got.W != want.Size[0] || got.H != want.Size[1] {
			t.Errorf("%s on %v: got %dx%d, want %v", want.Name, want.Source, got.W, got.H, want.Size)
		} else if sum(got.bytes()) != want.SHA256 {
			t.Errorf("%s on %v: floats differ from transformers'", want.Name, want.Source)
		}
		if w, h := p.OutputSize(want.Source[0], want.Source[1]); w != got.W || h != got.H {
			t.Errorf("%s on %v: OutputSize says %dx%d, Process gave %dx%d", want.Name, want.Source, w, h, got.W, got.H)
		}
	}
}
