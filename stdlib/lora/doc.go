// Package lora puts low-rank adapters (Hu et al., 2021) on a model and reads
// and writes them in PEFT's format.
//
// It knows how targets are matched against the module tree (as PEFT matches
// them, except that a target which matches nothing is an error), how many
// parameters that makes, how an adapter begins, and its files. It does not know
// training, nor how a Linear adds an adapter's output (nn.LoRA does).
//
//	m, err := lora.Open(ctx, system)           // base with the system's adapters: what verbs call
//
//	plan, err := lora.Resolve(m, config)       // before training: what matches, and the counts
//	a, err := lora.Apply(m, plan, dev, seed)   // fresh adapters in the slots, gradients on
//	...
//	err = a.Save(dir, "base model's name")     // adapter_config.json, adapter_model.safetensors
//
//	member := a.Join()                         // beside others on m: it serves its part of a pass alone
//	m, members, err := lora.OpenTogether(ctxs, systems)
package lora
