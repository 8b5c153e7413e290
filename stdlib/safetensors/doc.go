// Package safetensors reads and writes the safetensors format
// (https://github.com/huggingface/safetensors): a JSON header with names,
// types, shapes and offsets, then raw little-endian data.
//
// It knows files, shards joined by an index, number formats, and what can be
// wrong with a file: every error names the file and, where there is one, the
// tensor. It does not know models, devices or what a tensor is for.
//
// Files are memory-mapped where the system can, so opening a checkpoint of any
// size takes milliseconds and its weights are held once.
package safetensors
