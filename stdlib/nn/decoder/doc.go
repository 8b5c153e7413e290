// Package decoder is what autoregressive decoders have in common: sequences laid out one after another, the cache of
// their keys and values, and causal and cross-attention over both.
//
// It knows rows, caches and which query sees which key. It does not know layers, weights or positions' encodings: nn's
// backbones and the families bring those.
package decoder
