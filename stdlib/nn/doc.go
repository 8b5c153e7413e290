// Package nn holds the layers that backbones are built of: Linear with its
// LoRA slot, norms, Embedding, convolutions, and the walk over a tree
// of such layers by struct tags.
//
// It knows how parameters are named, shaped, loaded, drawn at random and
// adapted. It does not know any architecture, any file format of weights
// (package safetensors) or of adapters (package lora), and it never touches a
// tensor's memory: kernels/ops does.
//
// A layer is a struct whose fields carry the name that Hugging Face gives them:
//
//	type MLP struct {
//		Gate *nn.Linear `weight:"gate_proj"` // C -> F
//		Up   *nn.Linear `weight:"up_proj"`   // C -> F
//		Down *nn.Linear `weight:"down_proj"` // F -> C
//	}
//
// A slice's elements are called 0, 1, …; with a tag that ends in #, such as
// "denselayer#", denselayer1, denselayer2, …
//
// Several sets of adapters can stand in the slots at once and share passes:
// each serves its Part of the rows.
//
// A nil field is a layer that this configuration lacks (a bias, a tied head).
package nn
