package llava

import (
	"fmt"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/clipllama"
	"lightbox/stdlib/vision"
)

// images makes the one view.
type images struct{ vision.CLIPProcessor }

// readImages reads the image settings.
func readImages(c *clipllama.Config, _ clipllama.Layout, f *checkpoint.Files) (clipllama.Images, error) {
	raw, path, err := f.Images()
	if err != nil {
		return nil, err
	}
	p, err := vision.ParseCLIPProcessor(raw, path)
	if err != nil {
		return nil, err
	}
	want := c.Vision.ImageSize
	// A square image ends at the size of every image when a crop or a fixed size is set.
	if w, h := p.OutputSize(2*want, want); w != want || h != want {
		return nil, fmt.Errorf("%s: an image of %dx%d becomes %dx%d; the image encoder takes %dx%d", path, 2*want, want, w, h, want, want)
	}
	return images{p}, nil
}

// Process gives the view, (3, H, W).
func (i images) Process(im *vision.Image) ([]float32, error) {
	p, err := i.CLIPProcessor.Process(im)
	return p.Data, err
}

// Settings are the choices that change pixels. HF's processor crops the middle;
// the original LLaVA-1.5 pads to a square (do_pad): results record which.
func (i images) Settings() map[string]any { return clipllama.Settings(i.CLIPProcessor) }

// padToSquare pads as the original LLaVA-1.5 did, which is a LlavaImageProcessor's do_pad.
func padToSquare(i clipllama.Images) (clipllama.Images, map[string]any) {
	out := i.(images)
	out.CLIPProcessor.PadToSquare = true
	return out, map[string]any{"image_processor_type": "LlavaImageProcessor", "do_pad": true}
}
