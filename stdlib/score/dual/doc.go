// Package dual holds the dual encoders with which metrics compare a text with an image: two towers that map both into one
// space, in which the cosine tells how well they agree (Radford et al., 2021).
//
//	e, err := dual.Open(ctx, dir)
//	u, err := e.Texts(ctx, captions, progress)          // unit vectors of e.Dim numbers
//	v, err := e.Images(ctx, len(films), open, progress) // of images, likewise
//
// It knows three layouts of checkpoints, as they are published:
//
//   - CLIP in transformers' layout (config.json of model_type clip);
//   - BiomedCLIP in open_clip's (open_clip_config.json; a timm ViT, and BERT behind an MLP);
//   - MedImageInsight (config.yaml, vision_model, language_model; a DaViT, and a transformer over CLIP's tokens).
//
// Images and texts go through the preprocessing of each one's own code, images bit for bit as Pillow and torchvision
// compute it on RGB. Texts of the latter two are first mended as ftfy does (Clean says what of it is not done). A text
// longer than the context is cut, its end token kept.
//
// It does not know captions, frames or scores. A vector depends on its text or image alone: not on the batch, not on the
// number of threads.
package dual
