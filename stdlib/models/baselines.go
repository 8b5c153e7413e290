package models

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/cnntransformer"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/models/visiongpt2"
	"lightbox/stdlib/weights"
)

// Parts say what the paper's baselines are made of. Each is a directory, or org/name of a repository in the Hugging Face
// cache; DenseNet may be a file, such as torchvision's densenet121-a639ec97.pth. Zero fields have the default given.
type Parts struct {
	ViT      string // VisionGPT2's encoder; google/vit-base-patch16-224
	GPT2     string // its decoder and tokenizer; openai-community/gpt2
	DenseNet string // CNN-Transformer's encoder, torchvision's densenet121; timm/densenet121.tv_in1k
	// VocabSize is the CNN-Transformer's number of tokens; 29,754, with which its parameters come to the paper's 0.048 B. It
	// holds 1,024 tokens of text, as GPT-2 does.
	VocabSize int
}

func (p Parts) filled() Parts {
	for _, f := range []struct {
		to *string
		v  string
	}{{&p.ViT, "google/vit-base-patch16-224"}, {&p.GPT2, "openai-community/gpt2"}, {&p.DenseNet, "timm/densenet121.tv_in1k"}} {
		if *f.to == "" {
			*f.to = f.v
		}
	}
	if p.VocabSize == 0 {
		p.VocabSize = 29754
	}
	return p
}

// Baselines are the paper's two baselines before their training, labelled as Paper labels them: VisionGPT2 and
// CNNTransformer. Train them with train.Progressive.
func Baselines(set data.Set, parts ...Parts) model.Systems {
	return model.Join(VisionGPT2(parts...), CNNTransformer(set, parts...))
}

// VisionGPT2 joins a published ViT and a published GPT-2 into a captioner, as transformers'
// VisionEncoderDecoderModel.from_encoder_decoder_pretrained does: their weights, and cross-attention in every decoder
// layer, drawn from the run's seed. With the default parts it has 0.239 B parameters, where the paper says 0.21 B. A
// checkpoint that is one already is loaded with Load. In a rehearsal it is the family's Tiny.
func VisionGPT2(parts ...Parts) model.Systems {
	p, labels := partsOf(parts), labelsOf("visiongpt2.json")
	if step.Current().Rehearse {
		return tinyAs("visiongpt2", labels)
	}
	bad := func(errs ...error) model.Systems {
		return model.NewSystems(model.System{Labels: labels, Base: step.Bad(visionGPT2Op, errs...)})
	}
	vit, err := findPart("ViT", p.ViT)
	gpt2, err2 := findPart("GPT-2", p.GPT2)
	if errs := slices.DeleteFunc([]error{err, err2}, func(err error) bool { return err == nil }); len(errs) > 0 {
		return bad(errs...)
	}
	made := visiongpt2.Parts{ViT: vit, GPT2: gpt2}
	config, err := made.Config()
	if err == nil {
		_, err = made.Files()
	}
	if err != nil {
		return bad(err)
	}
	return model.NewSystems(model.System{
		Labels: labels, Base: step.New(visionGPT2Op, visionGPT2Params{vit, gpt2, string(config)}),
		Skeleton: func() (model.Model, error) { return visiongpt2.New(config) },
	})
}

type visionGPT2Params struct {
	ViT    string `key:"local"`
	GPT2   string `key:"local"`
	Config string // of the model
}

var visionGPT2Op = &step.Op{Name: "models.VisionGPT2", Version: "1", Seeded: true,
	Check: func(s step.Step) []error {
		p, ok := s.Params.(visionGPT2Params)
		if !ok {
			return nil
		}
		if err := p.parts().Check(); err != nil {
			return []error{err}
		}
		return nil
	},
	Files: func(s step.Step) ([]string, error) { return s.Params.(visionGPT2Params).parts().Files() },
	Cost: func(s step.Step) step.Cost {
		files, _ := s.Params.(visionGPT2Params).parts().Files()
		return reading(files)
	},
	Run: func(ctx *step.Context, dir string) error {
		return making(ctx, dir, func(files string) (model.Model, error) {
			return ctx.Step().Params.(visionGPT2Params).parts().Join(ctx, files, ctx.Seed)
		})
	},
}

func (p visionGPT2Params) parts() visiongpt2.Parts { return visiongpt2.Parts{ViT: p.ViT, GPT2: p.GPT2} }

// CNNTransformer is the paper's other baseline: torchvision's DenseNet-121 with its weights, a Transformer decoder of six
// layers drawn from the run's seed, and a byte-level BPE learnt from the captions of the set's split "train"; a set of few
// captions gives fewer tokens than there are rows. It has 0.048 B parameters. In a rehearsal it is the family's Tiny.
func CNNTransformer(set data.Set, parts ...Parts) model.Systems {
	p, labels := partsOf(parts), labelsOf("cnn-transformer.json")
	if step.Current().Rehearse {
		return tinyAs("cnntransformer", labels)
	}
	bad := func(err error) model.Systems {
		return model.NewSystems(model.System{Labels: labels, Base: step.Bad(cnnTransformerOp, err)})
	}
	if p.VocabSize < 512 {
		return bad(fmt.Errorf("models.Parts.VocabSize is %d; want at least 512", p.VocabSize))
	}
	encoder, err := findPart("DenseNet", p.DenseNet)
	if err != nil {
		return bad(err)
	}
	config, err := publishedFiles.ReadFile("published/cnn-transformer.json")
	if err == nil {
		config, err = cnntransformer.Sized(config, p.VocabSize)
	}
	if err == nil {
		_, err = weights.Files(encoder)
	}
	if err != nil {
		return bad(err)
	}
	return model.NewSystems(model.System{
		Labels: labels, Base: step.New(cnnTransformerOp, cnnTransformerParams{encoder, string(config)}, set.Ref()),
		Skeleton: func() (model.Model, error) { return cnntransformer.New(config) },
	})
}

type cnnTransformerParams struct {
	DenseNet string `key:"local"`
	Config   string // of the model, but for the ids of its tokens
}

func (p cnnTransformerParams) parts() cnntransformer.Parts {
	return cnntransformer.Parts{Config: []byte(p.Config), DenseNet: p.DenseNet}
}

var cnnTransformerOp = &step.Op{Name: "models.CNNTransformer", Version: "1", Seeded: true,
	Check: func(s step.Step) []error {
		p, ok := s.Params.(cnnTransformerParams)
		if !ok {
			return nil
		}
		if err := p.parts().Check(); err != nil {
			return []error{err}
		}
		return nil
	},
	Files: func(s step.Step) ([]string, error) { return weights.Files(s.Params.(cnnTransformerParams).DenseNet) },
	Cost: func(s step.Step) step.Cost {
		files, _ := weights.Files(s.Params.(cnnTransformerParams).DenseNet)
		return reading(files)
	},
	Run: func(ctx *step.Context, dir string) error {
		r, err := data.Open(ctx.Input(0))
		if err != nil {
			return err
		}
		var captions []string
		for i := range r.Len() {
			if ex := r.Example(i); ex.Split == "train" {
				captions = append(captions, ex.Caption)
			}
		}
		if len(captions) == 0 {
			return errors.New(`models: the set has no captions in its split "train", of which the tokenizer would be learnt`)
		}
		return making(ctx, dir, func(files string) (model.Model, error) {
			return ctx.Step().Params.(cnnTransformerParams).parts().Join(ctx, files, captions, ctx.Seed)
		})
	},
}

// partsOf is the last of the parts given, filled.
func partsOf(parts []Parts) Parts {
	var p Parts
	if n := len(parts); n > 0 {
		p = parts[n-1]
	}
	return p.filled()
}

// labelsOf are the labels of the paper's system with that configuration.
func labelsOf(config string) frame.Labels {
	i := slices.IndexFunc(cards(), func(c card) bool { return c.Config == config })
	return frame.Labels{}.Set("system", cards()[i].System).Set("group", cards()[i].Group)
}

// tinyAs is a family's Tiny under other labels.
func tinyAs(family string, labels frame.Labels) model.Systems {
	out := Tiny(family)
	for _, l := range labels {
		out = out.As(l.Key, l.Value)
	}
	return out
}

// findPart is where a part lies.
func findPart(what, ref string) (string, error) {
	found, err := checkpoint.Find(ref)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	return found.Path, nil
}

// reading is the cost of a step that reads files and does little else.
func reading(files []string) step.Cost {
	var c step.Cost
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			c.ReadBytes += float64(info.Size())
		}
	}
	return c
}

// making writes the checkpoint of a new model into dir; join gets a directory for its other files.
func making(ctx *step.Context, dir string, join func(files string) (model.Model, error)) error {
	files, err := os.MkdirTemp(dir, ".files")
	if err != nil {
		return err
	}
	defer os.RemoveAll(files)
	m, err := join(files)
	if err != nil {
		return err
	}
	ctx.Logf("%s parameters", model.Count(m.Params()))
	return m.Save(dir, tensor.F32)
}
