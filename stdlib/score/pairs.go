package score

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/score/encoders"
)

// What metrics with a head over pairs of texts share.

// pairChunk is how many pairs are in memory at once, and done before the next is kept.
const pairChunk = 256

// pairLogits gives the head's labels of n texts one after another, (n, labels). text is asked for each in order. What
// an interrupted run has finished is found again.
func pairLogits(in *input, e *encoders.Encoder, n, labels int, text func(i int) encoders.Text) ([]float32, error) {
	scratch, _ := in.ctx.Scratch() // without one nothing is kept
	out := make([]float32, 0, n*labels)
	for lo := 0; lo < n; lo += pairChunk {
		hi := min(lo+pairChunk, n)
		texts := make([]encoders.Text, 0, hi-lo)
		for i := lo; i < hi; i++ {
			texts = append(texts, text(i))
		}
		kept := filepath.Join(scratch, fmt.Sprintf("pairs-%07d.safetensors", lo))
		if done := readKept(kept, (hi-lo)*labels); scratch != "" && done != nil {
			out = append(out, done...)
			continue
		}
		logits, err := e.Logits(in.ctx, texts, func(done, total int64) {
			in.ctx.Progress(int64(lo)+done*int64(hi-lo)/total, int64(n), "pairs")
		})
		if err != nil {
			return nil, err
		}
		for _, l := range logits {
			out = append(out, l...)
		}
		if scratch != "" {
			x := safetensors.Float32("logits", safetensors.F32, []int{hi - lo, labels}, out[lo*labels:])
			if err := safetensors.Write(kept, []safetensors.Tensor{x}, nil); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// readKept reads what pairLogits kept, nil where it is not there or not whole.
func readKept(path string, n int) []float32 {
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	a, err := safetensors.Open(path)
	if err != nil {
		return nil
	}
	x, err := a.Floats("logits")
	if err = cmp.Or(err, a.Close()); err != nil || len(x) != n {
		return nil
	}
	return x
}

// longestFirst is what is left of two texts of a and b tokens when most may stay and the longer one is cut first, as the
// library tokenizers does it.
func longestFirst(a, b, most int) (int, int) {
	if a+b <= most {
		return a, b
	}
	short := min(a, b)
	long := short
	if short <= most {
		long = max(short, most-short)
	}
	if short+long > most {
		short = most / 2
		long = short + most%2
	}
	if a > b {
		return long, short
	}
	return short, long
}

// longestFirstSlow is the same as transformers' Python tokenizers do it: token by token, of equals the second.
func longestFirstSlow(a, b, most int) (int, int) {
	for a+b > most {
		if a > b {
			a--
		} else {
			b--
		}
	}
	return a, b
}
