// Package checkpoint is what all families do alike with a Hugging Face checkpoint directory: reading the files beside the
// weights in both of their forms (transformers up to 4.57, and 5), rendering the chat template, making ids and labels of
// prompt and answer, and writing a directory back.
//
// It does not know any architecture, how images become pixels, or where checkpoints are found (package models).
package checkpoint
