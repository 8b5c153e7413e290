// Package models gives recipes their models: Load finds a checkpoint, New makes
// one from scratch, Baselines makes the paper's captioners of published parts,
// Export writes one, Join and Cross make lists of them.
//
// It knows the families (one line each in families), where checkpoints are
// kept, and how a checkpoint is opened when a step runs. It does not know what a
// family computes (packages models/llava and so on) or adapters (package lora,
// whose Open is what verbs call).
package models
