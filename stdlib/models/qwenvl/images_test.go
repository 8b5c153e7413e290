package qwenvl

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/vision"
)

// readJSON reads a file of testdata that make_golden.py wrote.
func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ints is make_golden.py's function of that name: SHA-256 of int32 arrays.
func ints(all ...[]int32) string {
	h := sha256.New()
	for _, a := range all {
		raw := make([]byte, 0, 4*len(a))
		for _, x := range a {
			raw = binary.LittleEndian.AppendUint32(raw, uint32(x))
		}
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func narrow(a []int) []int32 {
	var out []int32
	for _, x := range a {
		out = append(out, int32(x))
	}
	return out
}

// TestGrids: 600 random sizes in batches of 20, against smart_resize, get_rope_index, get_vision_position_ids,
// get_vision_cu_seqlens and get_vision_window_index of transformers.
func TestGrids(t *testing.T) {
	var golden struct {
		Refused int
		Batches []map[string]string
	}
	readJSON(t, "grids.json", &golden)
	ranges := [][2]int{{40, 40}, {300, 300}, {700, 700}, {2500, 2000}, {8, 1700}, {1700, 8}}
	limits := [][2]int{{3136, 12845056}, {3136, 1003520}, {50176, 200704}}
	u := modeltest.Hashed("grids", 1200)
	below := func(i, n int) int { return 1 + int((float64(u[i])+1)/2*float64(n)) }
	refused := 0
	const image = 7
	for b, want := range golden.Batches {
		c := &Config{ImageTokenID: image, Vision: VisionConfig{PatchSize: 14, SpatialMergeSize: 2, Gated: true, WindowSize: []int{112, 56, 84}[b%4%3]}}
		var sizes, tokens, positions, deltas, patches []int32
		var list []grid
		for i := 20 * b; i < 20*b+20; i++ {
			r := ranges[i%len(ranges)]
			h, w, err := smartResize(below(2*i+1, r[1]), below(2*i, r[0]), 28, limits[b%3][0], limits[b%3][1])
			if err != nil {
				refused++
				sizes = append(sizes, -1, -1)
				continue
			}
			g := grid{h / 14, w / 14}
			n := c.Vision.tokens(g)
			ids := slices.Concat(make([]int32, i%7), slices.Repeat([]int32{image}, n), make([]int32, 1+i%5))
			pos := c.positions(nil, ids, g)
			sizes, tokens, positions = append(sizes, int32(h), int32(w)), append(tokens, int32(n)), append(positions, pos...)
			deltas = append(deltas, slices.Max(pos)+1-int32(len(ids)))
			patches = append(patches, c.Vision.patches(g)...)
			list = append(list, g)
		}
		l := c.Vision.layout(list)
		for key, got := range map[string][]int32{
			"sizes": sizes, "tokens": tokens, "positions": positions, "deltas": deltas, "patches": patches,
			"images": narrow(l.images), "order": l.order, "windows": narrow(l.windows),
		} {
			if ints(got) != want[key] {
				t.Errorf("batch %d: %s differ", b, key)
			}
		}
		for i, p := range l.order {
			if int(l.inverse[p]) != i {
				t.Fatalf("batch %d: the inverse order is wrong at %d", b, p)
			}
		}
	}
	if refused != golden.Refused || len(golden.Batches) != 30 {
		t.Errorf("%d sizes refused of %d batches; want %d of 30", refused, len(golden.Batches), golden.Refused)
	}
}

// TestTokens: counts of spec and of published settings.
func TestTokens(t *testing.T) {
	for _, c := range []struct{ w, h, most, want int }{
		{512, 512, 12845056, 324}, {1, 1, 12845056, 4}, {4096, 4096, 12845056, 16384}, {4096, 4096, 1003520, 1225}, {42, 42, 12845056, 4}, {70, 98, 12845056, 8},
	} {
		h, w, err := smartResize(c.h, c.w, 28, 3136, c.most)
		if err != nil || h*w/784 != c.want {
			t.Errorf("%dx%d: %dx%d, %d tokens, %v; want %d", c.w, c.h, w, h, h*w/784, err, c.want)
		}
	}
}

// TestImages: pixels of hostile shapes and of real images, byte for byte.
func TestImages(t *testing.T) {
	var golden struct {
		Images []struct {
			Image    []int
			File     string
			Settings json.RawMessage
			Grid     [2]int
			Pixels   string
			Error    bool
		}
	}
	readJSON(t, "images.json", &golden)
	shared, skipped := sharedFolder(), 0
	for _, e := range golden.Images {
		dir := t.TempDir()
		modeltest.Put(t, filepath.Join(dir, "preprocessor_config.json"), e.Settings)
		p, err := readImages(&checkpoint.Files{Dir: dir}, &VisionConfig{PatchSize: 14, TemporalPatchSize: 2, SpatialMergeSize: 2})
		if err != nil {
			t.Fatal(err)
		}
		im := modeltest.Picture(e.Image)
		if e.File != "" {
			raw, err := os.ReadFile(filepath.Join(shared, "data", "radsample", e.File))
			if err != nil {
				skipped++
				continue
			}
			if im, err = vision.Decode(raw, e.File); err != nil {
				t.Fatal(err)
			}
			im = im.Orient(vision.Orientation(raw))
		}
		px, g, err := p.process(im)
		if (err != nil) != e.Error {
			t.Errorf("%v%s: %v; refused by the reference: %v", e.Image, e.File, err, e.Error)
		} else if err == nil && (g != grid{e.Grid[0], e.Grid[1]} || modeltest.Digest(px) != e.Pixels) {
			t.Errorf("%v%s %s: grid %v, want %v, or other pixels", e.Image, e.File, e.Settings, g, e.Grid)
		}
	}
	if skipped > 0 {
		t.Logf("%d real images are not here: set LIGHTBOX_SHARED to the folder that holds data/radsample", skipped)
	}
}

// sharedFolder holds real images; "" where there is none.
func sharedFolder() string {
	if dir := os.Getenv("LIGHTBOX_SHARED"); dir != "" {
		return dir
	}
	dir, _ := os.Getwd()
	for ; dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "shared", "data", "radsample")); err == nil {
			return filepath.Join(dir, "shared")
		}
	}
	return ""
}
