package lora

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
)

// loaded are a checkpoint with an adapter on it, both from disk.
func loaded(t *testing.T, run string) (systems model.Systems, adapter string) {
	t.Helper()
	x := exchanged[strings.Split(run, "/")[1]]
	base := models.Load(modeltest.Family{Family: x.Family}.Checkpoint(t, x.path)).As("system", "base")
	adapter = readExchange(t)[run].write(t)
	return Load(base, adapter), adapter
}

// What Load puts on a system Merge puts into its weights; what Export writes in another layout Load reads again. The tied
// model's head and embeddings, trained apart, stay apart.
func TestLoadMergeExport(t *testing.T) {
	for _, run := range []string{"5/llava/everything", "5/qwen2/everything"} {
		t.Run(run, func(t *testing.T) {
			name := strings.Split(run, "/")[1]
			systems, _ := loaded(t, run)
			r := testmodel.NewRunner(t)
			dir := func(ref step.Ref) string {
				d, err := r.Run(t.Context(), ref)
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			open := func(at string) model.Model {
				m, err := exchanged[name].Open(t.Context(), at)
				if err != nil {
					t.Fatal(err)
				}
				return m
			}
			want := readExchange(t)[run].Logits
			withImage := !strings.HasPrefix(run, "4.49")
			merged := Merge(systems)
			if len(merged.All()[0].Adapters) != 0 || Merge(merged).All()[0].Base != merged.All()[0].Base {
				t.Error("a merged system has adapters, or merges again")
			}
			at := dir(merged.All()[0].Base)
			if d := furthest(says(t, open(at), withImage), want); d > modeltest.Tolerance {
				t.Errorf("merged logits differ by %v", d)
			}
			exported := models.Export(merged, models.ExportOptions{DType: "f32"})
			if d := furthest(says(t, open(dir(exported.Refs()[0])), withImage), want); d > modeltest.Tolerance {
				t.Errorf("merged and exported logits differ by %v", d)
			}
			out := filepath.Join(t.TempDir(), "adapter")
			again := dir(Export(systems, ExportOptions{Dir: out, Layout: "hub"}).Refs()[0])
			for _, d := range []string{again, out} {
				m := exchangeModel(t, name)
				if err := Attach(t.Context(), m, d); err != nil {
					t.Fatal(err)
				}
				if d := furthest(says(t, m, withImage), want); d > modeltest.Tolerance {
					t.Errorf("exported adapter's logits differ by %v", d)
				}
			}
			var c map[string]any
			raw, err := os.ReadFile(filepath.Join(at, "config.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(raw, &c); err != nil {
				t.Fatal(err)
			}
			if c["tie_word_embeddings"] == true {
				t.Error("the merged checkpoint ties what has parted")
			}
		})
	}
}

// What is wrong with an adapter on disk is said before anything runs.
func TestLoadErrors(t *testing.T) {
	systems, dir := loaded(t, "5/qwen2/saved")
	other := models.Load(modeltest.Family{Family: exchanged["llava"].Family}.Checkpoint(t, exchanged["llava"].path))
	check := func(s model.Systems) string {
		ref := s.All()[0].Adapters[0]
		errs := append(ref.Errors(), loadOp.Check(ref.Step())...)
		var out []string
		for _, e := range errs {
			out = append(out, e.Error())
		}
		return strings.Join(out, "\n")
	}
	if got := check(systems); got != "" {
		t.Error(got)
	}
	if got := check(Load(other, dir)); !strings.Contains(got, "does not fit this llava model") {
		t.Errorf("an adapter of another model: %s", got)
	}
	if got := check(Load(other, t.TempDir())); !strings.Contains(got, "adapter_config.json: no such file") {
		t.Errorf("an empty directory: %s", got)
	}
	bad := Export(systems, ExportOptions{Layout: "4"}).Refs()[0]
	if got := exportOp.Check(bad.Step()); len(got) != 1 || !strings.Contains(got[0].Error(), `layout "4"; known: "5", "4.52"`) {
		t.Errorf("a layout that does not exist: %v", got)
	}
	if got := Export(other, ExportOptions{}).Refs()[0].Errors(); len(got) != 1 || !strings.Contains(got[0].Error(), "with 0 adapters; want one with one") {
		t.Errorf("no adapter: %v", got)
	}
}

// Foreign methods and damaged patterns are refused by name.
func TestForeignConfigs(t *testing.T) {
	run := readExchange(t)["5/llava/patterns"]
	m := exchangeModel(t, "llava")
	for key, c := range map[string]struct {
		value any
		want  string
	}{
		"lora_bias":               {true, "lora_bias is set, which is not supported"},
		"trainable_token_indices": {[]int{1}, "trainable_token_indices is set"},
		"rank_pattern":            {map[string]any{"q_proj": 2.5}, `rank_pattern gives "q_proj" the rank 2.5`},
		"alpha_pattern":           {map[string]any{"(": 2}, `the pattern "("`},
		"r":                       {5, "has the rank 2; adapter_config.json gives it 5"},
		"bias":                    {"both", `bias is "both"`},
	} {
		var config map[string]any
		if err := json.Unmarshal(run.Config, &config); err != nil {
			t.Fatal(err)
		}
		config[key] = c.value
		bad := run
		var err error
		if bad.Config, err = json.Marshal(config); err != nil {
			t.Fatal(err)
		}
		if err := Attach(t.Context(), m.Share(), bad.write(t)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v\nwant %q", key, err, c.want)
		}
	}
}

// A pattern keeps its order: PEFT takes the first key that matches.
func TestPatternOrder(t *testing.T) {
	var p pattern
	raw := `{"v_proj":3,"a.*":1.5,"z":2}`
	if err := json.Unmarshal([]byte(raw), &p); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(p)
	if err != nil || string(again) != raw {
		t.Errorf("%s %v; want %s", again, err, raw)
	}
	if i, err := (pattern{{"q_proj", 1}, {`layers\.0\..*`, 2}}).find("model.layers.0.self_attn.q_proj"); i != 0 || err != nil {
		t.Errorf("entry %d, %v; want the first", i, err)
	}
	for _, c := range []struct {
		key, path string
		want      int
	}{{"q_proj", "a.xq_proj", -1}, {"^a.q_proj", "a.q_proj", 0}, {"a.q_proj", "b.a.q_proj", 0}, {"^a.q_proj", "b.a.q_proj", -1}, {"q_pro", "a.q_proj", -1}} {
		if i, err := (pattern{{c.key, 1}}).find(c.path); i != c.want || err != nil {
			t.Errorf("%s on %s: %d, %v; want %d", c.key, c.path, i, err, c.want)
		}
	}
}

// The configuration's further rules, and what they report.
func TestResolveMore(t *testing.T) {
	m := tiny(t, "grouped")
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{ModulesToSave: []string{"lm_heads"}}, `module to save "lm_heads" matches no module of llava; did you mean lm_head?`},
		{Config{RankPattern: map[string]int{"q_prj": 2}}, `the rank pattern's key "q_prj" gives no adapted layer its rank`},
		{Config{AlphaPattern: map[string]float64{"vision_tower": 2}}, `the alpha pattern's key "vision_tower" gives no adapted layer its alpha`},
		{Config{RankPattern: map[string]int{"(": 2, "q_proj": 0}}, `RankPattern "q_proj" is 0`},
		{Config{AlphaPattern: map[string]float64{"q_proj": -1}}, `AlphaPattern "q_proj" is -1`},
		{Config{Bias: "some"}, `Bias is "some"; known: none, all, lora_only`},
		{Config{LRRatio: -1}, "LRRatio is -1"},
		{Config{LayersPattern: []string{"layers"}}, "LayersPattern is set without Layers"},
		{Config{LayersPattern: []string{"("}, Layers: []int{1}}, `LayersPattern "("`},
		{Config{TargetModules: []string{"lm_head"}, ModulesToSave: []string{"lm_head"}}, "no layer is left by Towers, Layers, ModulesToSave and Exclude"},
	} {
		if _, err := Resolve(m, c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v\nwant %q", c.config, err, c.want)
		}
	}
	p, err := Resolve(m, Config{Rank: 4, TargetModules: []string{"q_proj"}, Layers: []int{1}, LayersPattern: []string{"blocks", "layers"}, UseDoRA: true,
		RankPattern: map[string]int{`vision_tower\..*q_proj`: 2}, Bias: BiasLoRAOnly, ModulesToSave: []string{"multi_modal_projector"}})
	if err != nil {
		t.Fatal(err)
	}
	v := p.View()
	var lines []string
	for _, r := range v.Rows {
		var cells []string
		for _, c := range r.Cells {
			cells = append(cells, c.Text)
		}
		lines = append(lines, strings.Join(cells, "|"))
	}
	want := []string{"vision|q_proj (rank 2, alpha 8)|32|32|1|160", "language|q_proj|48|48|1|432", "vision|q_proj.bias (bias)||32|1|32",
		"connector|linear_1.weight (saved)|32|48|1|1,536", "connector|linear_1.bias (saved)||48|1|48", "connector|linear_2.weight (saved)|48|48|1|2,304",
		"connector|linear_2.bias (saved)||48|1|48", "total||||7|4,560"}
	if !slices.Equal(lines, want) || v.Title != "DoRA targets: rank 4, alpha 8" {
		t.Errorf("%s\n%s", v.Title, strings.Join(lines, "\n"))
	}
	if p.Added != p.Params-32 || !p.Touches(model.Connector) {
		t.Errorf("%d of %d are added", p.Added, p.Params)
	}
	// A tied head that is saved trains on its own, and that is said.
	tied, err := Resolve(tiny(t, "tied"), Config{ModulesToSave: []string{"lm_head"}})
	if err != nil {
		t.Fatal(err)
	}
	if f := tied.View().Footer; len(f) != 2 || f[1] != "lm_head.weight is shared with model.language_model.embed_tokens.weight in the base; its copy trains on its own and the two part" {
		t.Error(f)
	}
}
