package llava

import (
	"path/filepath"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/clipllama"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

// quickstartConfig has the sizes of the embedded tiny-llava: 3.2 million parameters.
const quickstartConfig = `{"architectures":["LlavaForConditionalGeneration"],"model_type":"llava","image_token_index":370,
	"tie_word_embeddings":true,
	"text_config":{"model_type":"llama","vocab_size":2056,"hidden_size":192,"intermediate_size":512,"num_hidden_layers":5,
		"num_attention_heads":6,"num_key_value_heads":6,"max_position_embeddings":512},
	"vision_config":{"model_type":"clip_vision_model","hidden_size":128,"intermediate_size":512,"num_hidden_layers":4,
		"num_attention_heads":4,"image_size":64,"patch_size":8}}`

func benchModel(b *testing.B) *clipllama.Model {
	b.Helper()
	dir := b.TempDir()
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.json"} {
		modeltest.Put(b, filepath.Join(dir, name), read(b, filepath.Join("testdata", "grouped", name)))
	}
	modeltest.Put(b, filepath.Join(dir, "config.json"), []byte(quickstartConfig))
	modeltest.Put(b, filepath.Join(dir, "preprocessor_config.json"), []byte(`{"size":{"shortest_edge":64},"crop_size":{"height":64,"width":64}}`))
	m, err := Init(b.Context(), dir, 1)
	if err != nil {
		b.Fatal(err)
	}
	return m.(*clipllama.Model)
}

func benchSamples(b *testing.B, m *clipllama.Model, n int, target string) []*model.Sample {
	b.Helper()
	var out []*model.Sample
	for i := range n {
		s, err := m.Encode(model.Input{Image: modeltest.Picture([]int{i, 64, 64}), Prompt: "Describe the image.", Target: target})
		if err != nil {
			b.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

const benchCaption = "Axial CT of the abdomen shows a cyst of 23 mm in the right kidney, marked by an arrow."

func tokens(samples []*model.Sample) (n int) {
	for _, s := range samples {
		n += len(s.IDs)
	}
	return n
}

// BenchmarkForward is the loss of a batch of 8 without gradients.
func BenchmarkForward(b *testing.B) {
	m := benchModel(b)
	batch := benchSamples(b, m, 8, benchCaption)
	for b.Loop() {
		tape := tensor.NewScratch()
		model.Loss(m, &model.Batch{Samples: batch, Tape: tape}, 1)
		tape.Release()
	}
	b.ReportMetric(float64(tokens(batch))*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// BenchmarkLoRAStep is forward and backward of a batch of 8 with adapters of
// rank 16 on every Linear of the decoder.
func BenchmarkLoRAStep(b *testing.B) {
	m := benchModel(b)
	for _, s := range m.Slots() {
		if s.Tower == model.Language && !s.Head {
			a := &nn.LoRA{A: nn.NewParam(nn.InitNormal, 16, s.Linear.In()), B: nn.NewParam(nn.InitZeros, s.Linear.Out(), 16), Scale: 2}
			nn.Randomize(m.Device(), []nn.Named{{Name: s.Path + "A", Param: a.A}, {Name: s.Path + "B", Param: a.B}}, 1, 0.02)
			a.A.Tensor.SetRequiresGrad(true)
			a.B.Tensor.SetRequiresGrad(true)
			s.Linear.Adapters = append(s.Linear.Adapters, a)
		}
	}
	batch := benchSamples(b, m, 8, benchCaption)
	for b.Loop() {
		tape := tensor.NewTape()
		loss, _ := model.Loss(m, &model.Batch{Samples: batch, Tape: tape}, 1)
		tape.Backward(loss)
		tape.Release()
	}
	b.ReportMetric(float64(tokens(batch))*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// BenchmarkPrefill runs 8 prompts into empty caches.
func BenchmarkPrefill(b *testing.B) {
	m := benchModel(b)
	batch := benchSamples(b, m, 8, "")
	var kv []model.KV
	for _, s := range batch {
		kv = append(kv, m.NewKV(len(s.IDs)+64))
	}
	for b.Loop() {
		for _, c := range kv {
			c.Truncate(0)
		}
		tape := tensor.NewScratch()
		m.Logits(m.Hidden(&model.Batch{Samples: batch, KV: kv, Tail: []int{1, 1, 1, 1, 1, 1, 1, 1}, Tape: tape}))
		tape.Release()
	}
	b.ReportMetric(float64(tokens(batch))*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// BenchmarkDecode is one token for each of 1 and of 32 sequences.
func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 32} {
		b.Run(map[int]string{1: "batch1", 32: "batch32"}[n], func(b *testing.B) {
			m := benchModel(b)
			batch := benchSamples(b, m, n, "")
			var kv []model.KV
			step := &model.Batch{}
			for _, s := range batch {
				kv = append(kv, m.NewKV(len(s.IDs)+64))
				step.Tokens = append(step.Tokens, []int32{300})
			}
			step.KV = kv
			m.Hidden(&model.Batch{Samples: batch, KV: kv})
			filled := kv[0].Len()
			for b.Loop() {
				for _, c := range kv {
					c.Truncate(filled)
				}
				step.Tape = tensor.NewScratch()
				ops.Argmax(m.Logits(m.Hidden(step)))
				step.Tape.Release()
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
