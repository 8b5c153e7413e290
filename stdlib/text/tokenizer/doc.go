// Package tokenizer turns text into token ids and back, exactly as the Rust library tokenizers
// 0.23 does with the same tokenizer.json and sentencepiece 0.2 with the same .model, and trains small vocabularies.
//
// It knows Hugging Face's tokenizer.json: added tokens, normalizers, pre-tokenizers, the models BPE
// (byte-level as in GPT-2 and Qwen, SentencePiece-style with byte fallback as in Llama), Unigram, WordPiece and
// WordLevel, post-processors and decoders. It knows SentencePiece's .model files (unigram and BPE), and the
// directories without a tokenizer.json that Llama, GPT-2, CodeGen, Qwen2, CLIP and BERT checkpoints are. A tokenizer.json's truncation and padding are read over, as transformers does:
// lengths are the caller's business. It does not know chat templates (package jinja), image tokens'
// expansion or any model family.
//
// A stage of the file that the package does not know is an error at Load that names the file and
// the key; nothing is skipped silently. A Tokenizer never changes after Load, so any number of
// goroutines may share one.
package tokenizer
