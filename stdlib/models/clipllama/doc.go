// Package clipllama is what all versions of LLaVA have in common (Liu et al., 2023): a CLIP vision tower, a projector of
// two layers and a Llama or Mistral decoder, as transformers/models/llava and models/llava_next compute them.
//
// It knows the common part of the configuration, the spellings of the weights, the pass, and how a checkpoint directory
// is opened and written. It does not know how an image is cut into views of the tower, how the rows of the views become
// tokens, or how a user is addressed: a Kind says that for its family (packages llava, llavanext).
package clipllama
