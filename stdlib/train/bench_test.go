package train

import (
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
)

// BenchmarkLoRA is two epochs over 200 phantoms with a model of the embedded checkpoint's size, in steps of 8:
//
//	go test ./stdlib/train -run - -bench LoRA -benchtime 1x -cpuprofile cpu.out
func BenchmarkLoRA(b *testing.B) {
	base, set := testmodel.Tiny(), data.Phantom(data.PhantomOptions{Train: 200, Seed: 1})
	r := &testmodel.Runner{Dir: b.TempDir(), Seed: 1}
	for _, ref := range append(base.All()[0].Refs(), set.Ref()) {
		if _, err := r.Run(context.Background(), ref); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for i := range b.N {
		c := Config{Epochs: 2, BatchSize: 8, LR: 1e-3, Seed: uint64(i + 1)}
		if _, err := r.Run(context.Background(), loraRef(base, set.Ref(), lora.Config{Rank: 16}, c)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(400*b.N), "ms/example")
}

// BenchmarkTogether trains five adapters one after another and in one pass, in turn, and gives the ratios of processor time
// and of the most memory that tensors take. The first two are of the embedded checkpoint's size:
//
//	go test ./stdlib/train -run - -bench Together -benchtime 3x
func BenchmarkTogether(b *testing.B) {
	for _, kind := range []struct {
		name    string
		base    model.Systems
		configs func(rank int) lora.Config
	}{
		{"tower left alone", testmodel.Tiny(), func(r int) lora.Config { return lora.Config{Rank: r} }},
		{"tower adapted", testmodel.Tiny(), func(r int) lora.Config { c := lora.Targeted(); c.Rank = r; return c }},
		{"tower left alone, larger", large(), func(r int) lora.Config { return lora.Config{Rank: r} }},
	} {
		b.Run(kind.name, func(b *testing.B) {
			set := data.Phantom(data.PhantomOptions{Train: 16, Seed: 1})
			var refs []step.Ref
			for _, rank := range []int{4, 8, 8, 16, 16} {
				c := Config{BatchSize: 4, LR: 1e-3 * float64(1+len(refs)), OrderSeed: 1, Seed: uint64(1 + len(refs))}
				refs = append(refs, loraRef(kind.base, set.Ref(), kind.configs(rank), c))
			}
			var alone, together, most, mostTogether float64
			for range b.N {
				r := testmodel.NewRunner(b)
				r.Cache = "" // each training alone computes its features
				for _, in := range refs[0].Step().In {
					if _, err := r.Run(context.Background(), in); err != nil {
						b.Fatal(err)
					}
				}
				t, m := measured(func() {
					for _, ref := range refs {
						if _, err := r.Run(context.Background(), ref); err != nil {
							b.Fatal(err)
						}
					}
				})
				alone, most = alone+t, max(most, m)
				t, m = measured(func() {
					if err := errors.Join(r.Together(context.Background(), refs...)...); err != nil {
						b.Fatal(err)
					}
				})
				together, mostTogether = together+t, max(mostTogether, m)
			}
			b.ReportMetric(together/alone, "time/alone")
			b.ReportMetric(mostTogether/most, "memory/one")
			b.ReportMetric(alone/float64(len(refs)*16*b.N)*1e3, "cpu-ms/example")
		})
	}
}

// measured gives the processor seconds of f and the most bytes that the process took meanwhile.
func measured(f func()) (seconds, bytes float64) {
	runtime.GC()
	ops.CPU().Trim()
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
	begin := processorTime()
	f()
	seconds = processorTime() - begin
	raw, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(raw), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
			bytes, _ = strconv.ParseFloat(f[1], 64)
		}
	}
	return seconds, bytes * 1024
}

func processorTime() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// large is a LLaVA of about 25 million parameters made from scratch, whose images are 144 tokens.
func large() model.Systems {
	return models.New(models.Config{
		Vision:    models.VisionConfig{HiddenSize: 256, NumHiddenLayers: 6, NumAttentionHeads: 4, ImageSize: 168, PatchSize: 14},
		Text:      models.TextConfig{HiddenSize: 512, NumHiddenLayers: 6, NumAttentionHeads: 8, TieWordEmbeddings: true},
		VocabSize: 640, Prompts: []string{"Describe the image."},
	}, data.Phantom(data.PhantomOptions{Train: 200, Seed: 1}))
}
