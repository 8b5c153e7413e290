package vision

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

func TestCropAndPad(t *testing.T) {
	im := &Image{W: 2, H: 1, Pix: []byte{1, 2, 3, 4, 5, 6}}
	fill := [3]byte{9, 8, 7}
	for _, c := range []struct {
		name string
		got  *Image
		w, h int
		want []byte
	}{
		{"inside", im.Crop(1, 0, 1, 1), 1, 1, []byte{4, 5, 6}},
		{"beyond the left edge", im.Crop(-1, 0, 2, 1), 2, 1, []byte{0, 0, 0, 1, 2, 3}},
		{"outside", im.Crop(5, 5, 1, 1), 1, 1, []byte{0, 0, 0}},
		{"centre", im.CenterCrop(2, 1), 2, 1, im.Pix},
		{"centre of something smaller", im.CenterCrop(2, 2), 2, 2, []byte{0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6}},
		{"square", im.PadToSquare(fill), 2, 2, []byte{1, 2, 3, 4, 5, 6, 9, 8, 7, 9, 8, 7}},
	} {
		if c.got.W != c.w || c.got.H != c.h || !bytes.Equal(c.got.Pix, c.want) {
			t.Errorf("%s: got %dx%d %v, want %dx%d %v", c.name, c.got.W, c.got.H, c.got.Pix, c.w, c.h, c.want)
		}
	}
	if c := MeanColor(DefaultCLIPProcessor().Mean); c != [3]byte{122, 116, 104} {
		t.Errorf("CLIP's mean colour: got %v, want 122 116 104", c)
	}
}

func TestStandardize(t *testing.T) {
	for _, c := range []struct {
		w, h, side int
		square     bool
		wantW      int
		wantH      int
	}{
		{100, 50, 40, false, 40, 20},
		{50, 100, 40, true, 40, 40},
		{30, 20, 40, false, 30, 20},
		{30, 20, 40, true, 30, 30},
		{30, 20, 0, false, 30, 20},
		{999, 1, 100, false, 100, 1},
		{101, 67, 50, false, 50, 33},
	} {
		src := noise([3]int{c.w, c.h, 1})
		keep := src.Clone()
		got := src.Standardize(c.side, c.square)
		if got.W != c.wantW || got.H != c.wantH || len(got.Pix) != 3*got.W*got.H {
			t.Errorf("%dx%d: got %dx%d, want %dx%d", c.w, c.h, got.W, got.H, c.wantW, c.wantH)
		}
		got.Pix[0]++
		if !bytes.Equal(src.Pix, keep.Pix) {
			t.Errorf("%dx%d: the source shares memory with the result", c.w, c.h)
		}
	}
}

func TestEncodePNG(t *testing.T) {
	im := noise([3]int{31, 7, 3})
	file := EncodePNG(im)
	if !bytes.Equal(file, EncodePNG(im)) {
		t.Error("two encodings of one picture differ")
	}
	back, err := Decode(file, "memory")
	if err != nil || !bytes.Equal(back.Pix, im.Pix) {
		t.Errorf("decoding gives other pixels, error %v", err)
	}
}

func TestResizePanics(t *testing.T) {
	for name, f := range map[string]func(){
		"no width":       func() { New(3, 3).Resize(0, 4, Bicubic) },
		"unknown filter": func() { New(3, 3).Resize(4, 4, Filter(9)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestParseCLIPProcessorNested(t *testing.T) {
	flat := `{"size": {"shortest_edge": 336}, "crop_size": 336, "image_processor_type": "LlavaImageProcessorFast", "do_pad": true}`
	want, err := ParseCLIPProcessor([]byte(flat), "preprocessor_config.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseCLIPProcessor([]byte(`{"processor_class": "LlavaProcessor", "patch_size": 14, "image_processor": `+flat+`}`), "processor_config.json")
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("nested settings differ: %+v, want %+v", got, want)
	}
	if !got.PadToSquare || got.Size.ShortestEdge != 336 || got.CropSize != (Size{Height: 336, Width: 336}) {
		t.Errorf("got %+v", got)
	}
}

func TestParseCLIPProcessorErrors(t *testing.T) {
	for config, want := range map[string]string{
		`[1]`:                                 "image processor settings",
		`{"image_processor": 3}`:              "image_processor",
		`{"size": {"edge": 3}}`:               `size: key "edge" is not supported`,
		`{"size": {"height": 3}}`:             `size: got {"height":3}, want height and width, or shortest_edge`,
		`{"size": {"longest_edge": 3}}`:       "size: longest_edge needs shortest_edge",
		`{"size": [1, 2, 3]}`:                 "size: got 3 numbers",
		`{"size": -4}`:                        "size: got -4, want 1 to",
		`{"size": "big"}`:                     "size: ",
		`{"size": null}`:                      "size: got null, but do_resize needs it",
		`{"image_std": [1, 0, 1]}`:            "image_std: got 0 in channel 1",
		`{"image_mean": [1]}`:                 "image_mean: got 1 numbers, want 3",
		`{"resample": 7}`:                     "resample: got 7",
		`{"do_resize": "yes"}`:                "do_resize: ",
		`{"crop_size": {"shortest_edge": 3}}`: "crop_size: got",
		`{"image_processor_type": "SiglipImageProcessor"}`:        `image_processor_type: "SiglipImageProcessor" is not supported`,
		`{"do_pad": true, "pad_size": {"height": 9, "width": 9}}`: "pad_size: ",
	} {
		_, err := ParseCLIPProcessor([]byte(config), "dir/preprocessor_config.json")
		if err == nil || !strings.HasPrefix(err.Error(), "dir/preprocessor_config.json: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want it to say %q", config, err, want)
		}
	}
}

// A picture that is thin beyond reason is an error before memory is taken.
func TestProcessTooLong(t *testing.T) {
	p := DefaultCLIPProcessor()
	if _, err := p.Process(New(1_000_000, 1)); err == nil || !strings.Contains(err.Error(), "224000000x224") {
		t.Errorf("got %v", err)
	}
	p.PadToSquare = true
	if _, err := p.Process(New(1_000_000, 1)); err == nil || !strings.Contains(err.Error(), "square") {
		t.Errorf("got %v", err)
	}
}

// Files that lie about their size cost no memory to speak of.
func TestBadFilesAllocateLittle(t *testing.T) {
	for name, data := range readFiles(t) {
		if !strings.HasPrefix(name, "bad/") {
			continue
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		Decode(data, name)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
			t.Errorf("%s: a file of %d bytes took %d bytes of memory", name, len(data), n)
		}
	}
}

// FuzzDecode: hostile bytes never panic, and what is decoded is consistent.
func FuzzDecode(f *testing.F) {
	for _, data := range readFiles(f) {
		if len(data) < 3000 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		im, err := Decode(data, "fuzz")
		Orientation(data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "fuzz: ") {
				t.Errorf("the error does not begin with the name: %q", err)
			}
			return
		}
		if im.W < 1 || im.H < 1 || len(im.Pix) != 3*im.W*im.H {
			t.Errorf("%dx%d pixels with %d bytes", im.W, im.H, len(im.Pix))
		}
	})
}

// Damaged copies of good files, more than a fuzzing run in normal mode tries.
func TestDecodeDamaged(t *testing.T) {
	x := uint32(1)
	next := func(n int) int {
		x = x*1664525 + 1013904223
		return int(x>>8) % n
	}
	files := readFiles(t)
	for _, want := range readGolden(t).Decoded {
		data := files[want.Name]
		for range 12 {
			bad := bytes.Clone(data)
			for range 1 + next(4) {
				bad[next(len(bad))] = byte(next(256))
			}
			if im, err := Decode(bad, want.Name); err == nil && len(im.Pix) != 3*im.W*im.H {
				t.Errorf("%s: %dx%d pixels with %d bytes", want.Name, im.W, im.H, len(im.Pix))
			}
		}
	}
}
