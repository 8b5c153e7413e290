// Package features keeps what a frozen vision tower gives for an image on disk, so that it is computed once for all epochs,
// adapters, prompts, trainings and captions of a base model.
//
// It knows when features may be kept (no adapter in the tower, see Open), what they depend on (the tower's own numbers, the
// image settings, the device, the code: see key), how a file of them is told from a damaged one, and how much disk they may take. It does
// not know model families, training or decoding, and not what the rows mean.
//
// Features are stored in float32, as they were computed: a result has the same bits whether they were found, computed, or
// never kept. In bfloat16 they would take half of the disk, and every result would then be another one.
//
// A file holds the rows of one image. It is written under a temporary name and renamed, without waiting for the disk: a crash
// leaves a file that is whole, absent, or fails its checksum and is computed again. Processes may share a store. A full
// disk ends the writing, never the work.
//
// The environment variable LIGHTBOX_FEATURES is "off", or a limit such as "20GB" for each base model. Without it they take
// at most half of the disk that is free when a step begins, and leave a gigabyte.
package features
