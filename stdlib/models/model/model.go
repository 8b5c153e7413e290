// Package model holds what a vision-language model family implements and what
// the verbs (training, generation, inspection) take: the Model interface, its
// samples and batches, and Systems, the labelled list of models that recipes
// pass around.
//
// It does not know any family, any file of a checkpoint, or how a checkpoint is
// found (package models opens them), and it does not know adapters beyond the
// slot that nn.Linear has for them (package lora).
//
// # How a verb uses a model
//
//	m, err := lora.Open(ctx, system)              // base and adapters, weights shared within the run
//	s, err := m.Encode(model.Input{Image: img, Prompt: "Describe the image.", Target: caption})
//	loss, nll := model.Loss(m, &model.Batch{Samples: samples, Tape: tape}, 1/tokens)
//	tape.Backward(loss)
//
// and for generation
//
//	kv := m.NewKV(len(s.IDs) + maxNew)
//	h := m.Hidden(&model.Batch{Samples: []*model.Sample{s}, KV: []model.KV{kv}, Tail: []int{1}}) // (1, C)
//	next := ops.Argmax(m.Logits(h))
//	h = m.Hidden(&model.Batch{Tokens: [][]int32{{next[0]}}, KV: []model.KV{kv}})                 // (1, C)
//
// Batches are ragged, never padded: a sample's result does not depend on what
// else is in the batch.
package model

import (
	"context"

	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/vision"
)

// Tower names the part of a model that a parameter belongs to.
type Tower string

// The towers of a vision-language model.
const (
	Language  Tower = "language"  // decoder, token embeddings and head
	Vision    Tower = "vision"    // image encoder
	Connector Tower = "connector" // projector between the two
)

// Ignore is the label of a token that carries no loss (transformers' ignore_index).
const Ignore int32 = -100

// ErrNoImage is Encode's error of an input without an image where the family cannot do without.
const ErrNoImage refusal = "an example without an image: this model always looks at one"

// refusal is an error that callers tell from others.
type refusal string

func (r refusal) Error() string { return string(r) }

// Input is what one example asks of a model.
type Input struct {
	// Image is what the prompt shows; nil: nothing. One whose Pix is nil tells its size alone, where its features are known:
	// the sample has no Pixels then, and is otherwise the same.
	Image  *vision.Image
	Prompt string // the user's words, without image marker or template
	Target string // the answer to learn or to score; "" leaves the prompt open for generation
}

// Sample is an Input in the model's own terms. It lives on the host and can be
// kept for many epochs.
type Sample struct {
	Text   string    // the prompt as rendered, one image marker per image; answer included
	IDs    []int32   // token ids, image placeholders already repeated
	Labels []int32   // parallel to IDs: the id itself where it is to be learnt, Ignore elsewhere; NOT shifted
	Images int       // number of images
	Pixels []float32 // what the image processor gives, in the family's own order: of one view (3, H, W); nil of a known image
	Size   [2]int    // H, W of one view in Pixels; 0, 0 where the family gives patches instead
	Rows   int       // rows that Vision gives for this sample's images
	Extra  any       // what a family needs besides (grids, masks), immutable; nil for LLaVA
}

// Prompted returns the number of leading tokens before the first labelled one.
func (s *Sample) Prompted() int {
	for i, l := range s.Labels {
		if l != Ignore {
			return i
		}
	}
	return len(s.IDs)
}

// LossTokens is the number of positions that carry loss: labelled tokens, the
// first of the sequence excepted since nothing predicts it.
func (s *Sample) LossTokens() int {
	n := 0
	for _, l := range s.Labels[min(1, len(s.Labels)):] {
		if l != Ignore {
			n++
		}
	}
	return n
}

// KV is one sequence's key/value cache. Row i of every layer is the sequence's
// token i, whatever else is in the batch.
type KV interface {
	Len() int         // tokens cached
	Capacity() int    // tokens it can hold
	Clone(cap int) KV // an independent copy with room for cap tokens (beam search, a shared prefix)
	Truncate(n int)   // forgets all but the first n tokens
	CopyFrom(src KV)  // becomes a copy of src, keeping its own capacity
	Bytes() int64     // memory held
	Free()            // hands the memory back; the cache must not be used any more
}

// Batch is one forward pass over several sequences, one after another (ragged).
// Either Samples (training, scoring, prefill) or Tokens (decoding) is set.
type Batch struct {
	Samples  []*Sample      // whole sequences with their images
	Tokens   [][]int32      // next tokens of sequences whose beginning is in KV
	KV       []KV           // one per sequence, or nil: nothing cached; its rows are appended
	Features *tensor.Tensor // result of Vision for the samples' images, or nil to compute it
	Tail     []int          // hidden rows wanted per sequence, counted from its end; nil: all
	Tape     *tensor.Tape   // nil: inference, nothing is recorded
	// Training is PyTorch's training mode: batch normalisation takes the batch's statistics and updates its running ones.
	// Dropout of adapters is not its business (package lora).
	Training bool
	// Checkpoint recomputes each decoder layer in the backward pass instead of
	// keeping its activations: about a third more work for much less memory.
	Checkpoint bool
}

// Param is a base parameter with its place in the model.
type Param struct {
	Name  string // path in transformers 5's module tree: "model.language_model.layers.0.self_attn.q_proj.weight"
	Tower Tower
	*nn.Param
}

// Slot is a Linear that an adapter can target.
type Slot struct {
	Path   string // module path in transformers 5's tree: "model.language_model.layers.0.self_attn.q_proj"
	Tower  Tower
	Head   bool // the output head, which "all-linear" leaves out
	Linear *nn.Linear
}

// Info describes a model without its weights.
type Info struct {
	Family        string         // "llava"
	Architecture  string         // "LlavaForConditionalGeneration"
	Checkpoint    string         // where its files are, for messages; "" for a model made from scratch
	Hidden        int            // C of the decoder
	Vocab         int            // V
	VisionHidden  int            // columns of Vision's rows
	HalfFeatures  bool           // Vision's rows are numbers of bfloat16 (models.HalfFeatures)
	ImageTokens   int            // placeholder tokens of an image of ImageSize; Blank tells those of any other
	ImageSize     [2]int         // width and height of a usual image, for estimates: 512, 512 where any size is taken
	Context       int            // tokens that fit, 0 if unbounded
	DType         string         // how config.json says the weights are stored: "float32", "bfloat16", "float16"
	EOS           []int32        // tokens that end an answer
	Barred        []int32        // tokens that no answer has behind its first one
	Preprocessing map[string]any // choices that change pixels (crop, pad, resample), recorded with results
}

// Model is a loaded vision-language model, or one built from its configuration
// alone (then only the methods marked "config" work). A Model is used by one
// goroutine at a time.
//
// Passes run wherever the parameters live (Tree.Device), and no shape, branch
// or loop depends on a computed value, so that Measure can run them without
// memory. What a pass makes is on its tape, inputs included (Pixels), and
// layers run in nn.Stack: memory goes back by rule, never by the collector.
type Model interface {
	Info() Info // config

	// Params lists the base parameters in the order of the module tree, a tied one once. // config
	Params() []Param
	// Buffers lists what checkpoints hold beside parameters, such as running statistics of norms; often nothing. // config
	Buffers() []Param
	// Slots lists every Linear, adapters or not, in the order of the module tree. // config
	Slots() []Slot
	// Modules lists the paths of all modules (for "did you mean"). // config
	Modules() []string
	// Canonical turns any spelling of a module's or tensor's name that checkpoints
	// and adapters have used into the module tree's. // config
	Canonical(name string) string
	// Spelling is how a generation of transformers calls a canonical name. // config
	Spelling(l Layout, canonical string) string
	// Places lists every place where a base parameter stands, a tied one once for each of its names. // config
	Places() []Param
	// Own is the parameter at the place of that name, for itself: a tied one is replaced there by one with the same tensor,
	// so that it can be trained without what shares it. False where no parameter has the name. // config
	Own(name string) (Param, bool)

	// Blank is a sample as Encode would make it of an image of width x height pixels
	// (0, 0: none) and text tokens of template, prompt and answer, of which the last
	// target are to be learnt: its IDs, placeholders included, its Labels, Rows and Extra
	// are as long as Encode's, what they and Pixels hold is arbitrary. It tells what an
	// image costs before any is read. The error is Encode's for such an image. // config
	Blank(width, height, text, target int) (*Sample, error)
	// Encode renders the prompt, tokenises it and processes the image.
	Encode(Input) (*Sample, error)
	// Decode turns token ids into text, special tokens left out.
	Decode(ids []int32) string
	// Piece is one token as the vocabulary writes it, for display.
	Piece(id int32) string

	// Vision runs the vision tower on the samples' images: (sum Rows, VisionHidden),
	// the input of the connector, sample after sample; nil without images. It can be cached while nothing in the tower trains.
	Vision(samples []*Sample, tape *tensor.Tape) *tensor.Tensor
	// Hidden returns the decoder's last hidden states, after the final norm:
	// (sum Tail, C), sequence after sequence. It appends to the batch's KV.
	Hidden(*Batch) *tensor.Tensor
	// Logits applies the LM head to hidden rows: (n, C) -> (n, V).
	Logits(hidden *tensor.Tensor) *tensor.Tensor
	// NewKV makes an empty cache for one sequence of at most capacity tokens.
	NewKV(capacity int) KV

	// Share returns a model with the same weight tensors and empty adapter slots,
	// so that two adapters can stand on one base at once.
	Share() Model
	// Trainable returns a copy whose parameters are f32 tensors of its own, fit to be trained.
	Trainable() Model
	// Save writes a Hugging Face checkpoint directory with the model's present
	// weights, adapters left out, in dtype tensor.F32 or tensor.BF16.
	Save(dir string, dt tensor.DType) error
}

// SquarePadder is a model that can be made to pad pictures to a square before it sees them. // config
type SquarePadder interface {
	// PadToSquare returns a model that does, with the same weights and empty adapter slots.
	PadToSquare() (Model, error)
}

// Family is what a package under models/ gives to the table of families.
type Family struct {
	Name          string   // "llava"
	Architectures []string // as they stand in config.json's "architectures"
	ModelType     string   // its "model_type", which decides where there are no architectures

	// New builds a model from its config.json alone.
	New func(config []byte) (Model, error)
	// Plan builds the model that the files in dir describe, without weights: New that knows the processor's settings too.
	// Nil where no setting changes what an image costs.
	Plan func(dir string) (Model, error)
	// Open loads the checkpoint in dir on the context's device.
	Open func(ctx context.Context, dir string) (Model, error)
	// Init makes the model that the files in dir describe, with weights drawn as for a new model; dir needs no weights.
	Init func(ctx context.Context, dir string, seed uint64) (Model, error)
	// Check holds the weights in dir against its configuration, and the other files against each other, reading headers only.
	Check func(dir string) error
	// Tiny writes into dir the files of a small checkpoint of the family, all but the weights, in the published layout:
	// the same architecture with every kind of layer, and sizes at which a laptop trains it in seconds.
	Tiny func(dir string) error
}
