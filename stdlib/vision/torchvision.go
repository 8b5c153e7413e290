package vision

import (
	"fmt"
	"math"
)

// TorchvisionProcessor is the preprocessing of torchvision's classifiers on Pillow images: Resize, CenterCrop, ToTensor,
// Normalize, bit for bit.
type TorchvisionProcessor struct {
	Size     Size       // Resize: the shortest edge, or height and width
	Crop     int        // CenterCrop to a square; 0: none
	Resample Filter     // of Resize
	Mean     [3]float64 // Normalize
	Std      [3]float64
}

// ImageNet is what torchvision does with the pictures of its ImageNet classifiers of size by size pixels, 224 as published:
// the shortest edge to 8/7 of it (256), bilinear, then the centre.
func ImageNet(size int) TorchvisionProcessor {
	p := ImageNetWhole(size)
	p.Size, p.Crop = Size{ShortestEdge: size * 8 / 7}, size
	return p
}

// ImageNetWhole resizes whole pictures to size by size, whatever their shape: nothing at the edges is lost.
func ImageNetWhole(size int) TorchvisionProcessor {
	return TorchvisionProcessor{Size: Size{Height: size, Width: size}, Resample: Bilinear,
		Mean: [3]float64{0.485, 0.456, 0.406}, Std: [3]float64{0.229, 0.224, 0.225}}
}

// Process resizes, crops and normalises.
func (p TorchvisionProcessor) Process(im *Image) (Pixels, error) {
	w, h := p.Size.of(im.W, im.H)
	if w < max(1, p.Crop) || h < max(1, p.Crop) || int64(w)*int64(h) > maxPixels {
		return Pixels{}, fmt.Errorf("resizing an image of %dx%d gives %dx%d: want at least %d on each side and at most %d pixels", im.W, im.H, w, h, max(1, p.Crop), maxPixels)
	}
	im = im.Resize(w, h, p.Resample)
	if n := p.Crop; n > 0 {
		half := func(d int) int { return int(math.RoundToEven(float64(d) / 2)) } // Python's round
		im = im.Crop(half(w-n), half(h-n), n, n)
	}
	return im.ToFloat(NewLevels(1.0/255, p.Mean, p.Std)), nil
}
