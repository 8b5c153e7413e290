package vision_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/vision"
)

// TestTorchvision compares bits with testdata/make_torchvision.py's, odd differences of sizes among them.
func TestTorchvision(t *testing.T) {
	raw, err := os.ReadFile("testdata/torchvision.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Seed, W, H, Size int
		Crop, Whole      string
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		im := testmodel.Picture([]int{c.Seed, c.W, c.H})
		for want, p := range map[string]vision.TorchvisionProcessor{c.Crop: vision.ImageNet(c.Size), c.Whole: vision.ImageNetWhole(c.Size)} {
			px, err := p.Process(im)
			if err != nil {
				t.Fatal(err)
			}
			h := sha256.New()
			for _, v := range px.Data {
				h.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
			}
			if got := hex.EncodeToString(h.Sum(nil)); got != want {
				t.Errorf("%dx%d to %d by %+v: pixels %s, torchvision's %s", c.W, c.H, c.Size, p.Size, got[:12], want[:12])
			}
		}
	}
}

func TestTorchvisionErrors(t *testing.T) {
	if _, err := vision.ImageNet(224).Process(vision.New(1, 60000)); err == nil || !strings.Contains(err.Error(), "resizing an image of 1x60000") {
		t.Error(err)
	}
}
