package vision

import "math"

// Standardize brings pictures of many sources to one form, the image half of the paper's Figure 1, which names the
// step but no numbers. The choices here: RGB of 8 bits (Decode); the longer side at most maxSide, keeping the
// aspect (the shorter side rounded to the nearest, at least 1; smaller pictures are never enlarged; 0 leaves the
// size); bicubic; and where square is set, centred on a black square of the longer side, black being the
// background of films.
func (im *Image) Standardize(maxSide int, square bool) *Image {
	out := im
	if w, h := StandardSize(im.W, im.H, maxSide, false); w != im.W || h != im.H {
		out = im.Resize(w, h, Bicubic)
	}
	if square && out.W != out.H {
		return out.PadToSquare([3]byte{})
	}
	if out == im {
		return im.Clone()
	}
	return out
}

// StandardSize is the width and height of what Standardize makes of an image of w x h pixels.
func StandardSize(w, h, maxSide int, square bool) (int, int) {
	if long := max(w, h); maxSide > 0 && long > maxSide {
		shrink := func(n int) int {
			return max(1, int(math.Round(float64(n)*float64(maxSide)/float64(long))))
		}
		w, h = shrink(w), shrink(h)
	}
	if square {
		return max(w, h), max(w, h)
	}
	return w, h
}
