package lora

import (
	"embed"
	"sync"

	"gopkg.in/yaml.v3"

	"lightbox/stdlib/models/model"
)

//go:embed published
var publishedFiles embed.FS

// row is one of Table 3's.
type row struct {
	System   string // as models.Paper labels it
	Strategy string // of the strategies alone
	Rank     int
	Alpha    float64
	Targets  []string
	Towers   []model.Tower
	Paper    struct {
		Parameters, Percent, Scaling float64 // in millions, in percent, alpha/rank
		Targets                      string
	}
	Note string
}

// table3 are the rows of the paper's Table 3 that have adapters, strategies what its Figures 6 and 7 compare.
var table3, strategies = sync.OnceValue(func() []row { return rows("table3.yaml") }), sync.OnceValue(func() []row { return rows("strategies.yaml") })

func rows(file string) []row {
	var out []row
	raw, err := publishedFiles.ReadFile("published/" + file)
	if err == nil {
		err = yaml.Unmarshal(raw, &out)
	}
	if err != nil {
		panic("lora: published/" + file + ": " + err.Error()) // embedded: a mistake of the program
	}
	return out
}

// Paper are the configurations of the paper's Table 3 by system, for the systems of models.Paper: rank, alpha and targets
// as its words, its scaling and its counts determine them. recipes/adapters prints them beside the published counts;
// stdlib/lora/published/table3.yaml says of each row how far they agree. Restrict them to the language model with
// Only(model.Language).
func Paper() Configs {
	var out Configs
	for _, r := range table3() {
		out = out.With(r.System, Config{Rank: r.Rank, Alpha: r.Alpha, TargetModules: r.Targets, Towers: r.Towers})
	}
	return out
}

// Targeted is the first of the strategies that the paper compares on LLaVA v1.6 (its Figures 6 and 7): rank 16 on the q, k
// and v projections and the MLP by name. Names reach the vision tower's q, k and v too, and only with those does the
// published count (40.1M for Mistral; here 40,108,032) come out.
func Targeted() Config {
	return Config{Rank: 16, Alpha: 32, TargetModules: []string{"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "down_proj"}}
}

// Extended is the second: rank 32 on every Linear but the head, output projections, connector and vision tower included
// (98.4M for Mistral; here 98,467,840). The paper states no alpha for it; the scaling is Targeted's.
func Extended() Config {
	return Config{Rank: 32, Alpha: 64, TargetModules: []string{AllLinear}}
}

// Hybrid is the third: adapters of rank 32 on all of a LLaVA but the attentions' output projections, and head and token
// embeddings trained in full. The published counts (350.6M for Mistral, 346.7M for Vicuna) come out with the original's
// 32,000 tokens; transformers' checkpoints pad them to 32,064, which adds 524,288. The paper states no alpha for it; the
// scaling is Targeted's.
func Hybrid() Config {
	return Config{Rank: 32, Alpha: 64, ModulesToSave: []string{"lm_head", "embed_tokens"},
		TargetModules: []string{"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "down_proj", "fc1", "fc2", "linear_1", "linear_2"}}
}

// Strategies are the three by the label "strategy": targeted, extended, hybrid. With
// models.Cross(systems, "strategy", "targeted", "extended", "hybrid") train.LoRA trains what Figures 6 and 7 compare.
func Strategies() Configs {
	return By("strategy").With("targeted", Targeted()).With("extended", Extended()).With("hybrid", Hybrid())
}
