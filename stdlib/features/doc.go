// Package features keeps what a frozen vision tower gives for an image on disk, so that it is computed once for all epochs,
// adapters, prompts, trainings and captions of a base model.
//
// It knows when features may be kept (no adapter in the tower, see Open), what they depend on (the tower's own numbers, the
// image settings, the device, the code: see key), how a file of them is told from a damaged one, and how much disk they may take. It does
// not know model families, training or decoding, and not what the rows mean.
//
// Features are stored as they were computed, in float32: a result has the same bits whether they were found, computed, or
// never kept. (Rounding to bfloat16 moves the losses of twenty steps of LoRA on the embedded model by up to 3e-5 of
// themselves.) Those of a base under models.HalfFeatures are numbers of bfloat16, stored as such in half of the space. An
// image takes 2.4 MB of LLaVA 1.5, 11.8 MB of LLaVA 1.6, 1.3 MB of IDEFICS, 3.4 MB of Moondream2, and at 512 x 512 pixels
// 6.6 MB of Qwen2-VL and 53 MB of SmolVLM.
//
// A file holds the rows of one image. It is written under a temporary name and renamed, without waiting for the disk: a crash
// leaves a file that is whole, absent, or fails its checksum and is computed again. Processes may share a store. A full
// disk ends the writing, never the work.
//
// The environment variable LIGHTBOX_FEATURES is "off", or a limit such as "20GB" for each base model. Without it they take
// at most half of the disk that is free when a step begins, and leave a gigabyte.
package features
