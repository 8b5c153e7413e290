// Package data is the noun "a set of images with captions": where examples come from and how a set is cut.
//
// A Set is an immutable handle on a step; its artifact is examples.jsonl (one Example a line) and meta.json, both small:
// pixels stay where they are and are decoded when a verb asks for them. Sources are ROCOv2 and its relatives, as CSV with images or as parquet (ROCOv2),
// a folder with a JSONL file (Folder), single image files (Images), and procedurally drawn radiology phantoms
// (Phantom), whose ground truth is known. Every other method derives a set from a set.
//
// It knows the layouts of ../spec's datasets and the modality concepts of UMLS that they carry. It does not know models,
// prompts or tensors, and it never changes a source.
package data
