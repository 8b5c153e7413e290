// Package lora puts low-rank adapters (Hu et al., 2021) on a model and reads
// and writes them in PEFT's format: LoRA, rsLoRA, DoRA and LoRA+, with modules and
// biases that train in full beside them.
//
// It knows how targets are matched against the module tree (as PEFT matches
// them, except that a target which matches nothing is an error), how many
// parameters that makes, how an adapter begins, its files in every spelling of
// the module paths, and how it is merged into the weights. It does not know
// training, nor how a Linear computes with an adapter (nn.LoRA does), and it has
// no adapters on embeddings.
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
