// Package encoders holds the text encoders that metrics need: BERT, RoBERTa, DeBERTa (v1) and BLEURT as published on the
// Hugging Face hub.
//
// It knows checkpoints (config.json, weights, tokenizer), token ids in and hidden states out. It does not know metrics,
// what a hidden state is used for, or how texts are cut into tokens for one of them. DeBERTa v2 and v3 are another
// architecture and are not here: Open says so.
//
//	e, err := encoders.Open(ctx, dir)
//	h, err := e.Hidden(ctx, texts, layer, progress) // h[i] is (len(texts[i].IDs), C), row after row
//	p, err := e.Pooled(ctx, texts, progress)        // p[i] is (C): tanh of a linear layer of the first token
//	y, err := e.Logits(ctx, texts, progress)        // y[i] is (L): the head of an encoder that Load made
//
// A Text is one sequence: ids with its special tokens, and token types for pairs. Layers beyond the one asked for are not
// run. Texts are sorted by length and batched by tokens, ragged, so a result depends on its text alone.
package encoders
