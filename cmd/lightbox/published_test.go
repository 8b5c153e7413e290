package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/models"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/densenet"
	"lightbox/stdlib/safetensors"
)

// published are the paper's checkpoints and the families that they are of.
var published = [][2]string{
	{"HuggingFaceM4/idefics-9b-instruct", "idefics"}, {"llava-hf/llava-v1.6-mistral-7b-hf", "llava_next"}, {"llava-hf/llava-v1.6-vicuna-7b-hf", "llava_next"},
	{"llava-hf/llava-1.5-7b-hf", "llava"}, {"Qwen/Qwen2.5-VL-3B-Instruct", "qwen2_5_vl"}, {"Qwen/Qwen2-VL-2B-Instruct", "qwen2_vl"},
	{"vikhyatk/moondream2@2024-04-02", "moondream"}, {"HuggingFaceTB/SmolVLM-500M-Instruct", "idefics3"},
}

// cached makes a repository of the Hugging Face cache out of a directory.
func cached(t *testing.T, cache, repo, dir string) {
	t.Helper()
	repo, revision, ok := strings.Cut(repo, "@")
	if !ok {
		revision = "main"
	}
	root := filepath.Join(cache, "hub", "models--"+strings.ReplaceAll(repo, "/", "--"))
	err := os.MkdirAll(filepath.Join(root, "refs"), 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "refs", revision), []byte("abc"), 0o644)
	}
	if err == nil {
		err = os.CopyFS(filepath.Join(root, "snapshots", "abc"), os.DirFS(dir))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// split makes of a small VisionGPT2 the ViT and the GPT-2 that one is made of, as they are published: without the other,
// without cross-attention.
func split(t *testing.T, from string) (vit, gpt2 string) {
	t.Helper()
	vit, gpt2 = t.TempDir(), t.TempDir()
	raw, err := os.ReadFile(filepath.Join(from, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	a, err := safetensors.Open(filepath.Join(from, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct{ dir, key, prefix, without, file string }{
		{vit, "encoder", "encoder.", "pooler", "preprocessor_config.json"},
		{gpt2, "decoder", "decoder.transformer.", "cross", "tokenizer.json"},
	} {
		var tensors []safetensors.Tensor
		for _, name := range a.Names() {
			rest, ok := strings.CutPrefix(name, part.prefix)
			if !ok || strings.Contains(rest, part.without) {
				continue
			}
			values, err := a.Floats(name)
			if err != nil {
				t.Fatal(err)
			}
			info, _ := a.Info(name)
			tensors = append(tensors, safetensors.Float32(rest, safetensors.F32, info.Shape, values))
		}
		other, err := os.ReadFile(filepath.Join(from, part.file))
		if err == nil {
			err = os.WriteFile(filepath.Join(part.dir, part.file), other, 0o644)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(part.dir, "config.json"), config[part.key], 0o644)
		}
		if err == nil {
			err = safetensors.Write(filepath.Join(part.dir, "model.safetensors"), tensors, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return vit, gpt2
}

// hub is a Hugging Face cache with small random checkpoints under the published names, DenseNet-121 in its full size.
func hub(t *testing.T) string {
	t.Helper()
	cache := t.TempDir()
	for _, p := range published {
		cached(t, cache, p[0], steptest.Run(t, models.Tiny(p[1]).All()[0].Base)[0])
	}
	vit, gpt2 := split(t, steptest.Run(t, models.Tiny("visiongpt2").All()[0].Base)[0])
	cached(t, cache, "google/vit-base-patch16-224", vit)
	cached(t, cache, "openai-community/gpt2", gpt2)
	net := densenet.New(densenet.Config{Blocks: []int{6, 12, 24, 16}, GrowthRate: 32, Init: 64, BatchSize: 4, Classes: 1000})
	nn.Randomize(ops.From(context.Background()), nn.State(net), 7, 0.02)
	var tensors []safetensors.Tensor
	for _, p := range nn.State(net) {
		if !p.Counter {
			tensors = append(tensors, safetensors.Float32(p.Name, safetensors.F32, p.Shape, ops.Floats(p.T())))
		}
	}
	dir := t.TempDir()
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), tensors, nil); err != nil {
		t.Fatal(err)
	}
	cached(t, cache, "timm/densenet121.tv_in1k", dir)
	return cache
}

// someImages copies the first n images of each split of real data in ROCOv2's layout.
func someImages(t *testing.T, from string, n map[string]int) string {
	t.Helper()
	dir := t.TempDir()
	for split, n := range n {
		raw, err := os.ReadFile(filepath.Join(from, split+"_captions.csv"))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		rows = rows[:n+1]
		var b bytes.Buffer
		if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
			t.Fatal(err)
		}
		err = os.WriteFile(filepath.Join(dir, split+"_captions.csv"), b.Bytes(), 0o644)
		for _, row := range rows[1:] {
			image := filepath.Join(split, row[0]+".jpg")
			var raw []byte
			if err == nil {
				raw, err = os.ReadFile(filepath.Join(from, image))
			}
			if err == nil {
				err = os.MkdirAll(filepath.Join(dir, split), 0o755)
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, image), raw, 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestComparisonRuns runs the comparison itself, no rehearsal, on real images and on checkpoints that lie where the
// published ones would, small as they are: what is loaded, joined, trained, exported and scored is read from files in the
// published layout. A second run finds everything in the store.
func TestComparisonRuns(t *testing.T) {
	shared := os.Getenv("LIGHTBOX_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	images := filepath.Join(shared, "data", "radsample")
	if _, err := os.Stat(images); err != nil || os.Getenv("LIGHTBOX_LONG") == "" {
		t.Skip("set LIGHTBOX_LONG, and LIGHTBOX_SHARED where data/radsample, real images in ROCOv2's layout, is not beside this repository")
	}
	dir := filepath.Join(t.TempDir(), "comparison")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "recipes", "comparison"))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "comparison.go")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(raw), "score.ImageCLEF()", `score.ImageCLEF(score.Without("similarity", "bertscore", "bleurt", "alignscore"))`, 1)
	text = strings.NewReplacer(`"overall"`, `"rouge1"`, `"relevance", "factuality"`, `"rouge1", "concept_f1"`).Replace(text) // no averages without the four
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	data, cache, store := someImages(t, images, map[string]int{"train": 16, "valid": 2, "test": 3}), hub(t), t.TempDir()
	run := func() string {
		var out bytes.Buffer
		cmd := child(&out, "run", dir, "--store", store, "--set", "rocov2="+data, "--set", "epochs=1", "--set", "tokens=12")
		cmd.Env = append(cmd.Env, "HF_HOME="+cache, "HF_HUB_CACHE=")
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		return out.String()
	}
	said := run()
	if !strings.Contains(said, "48,461,184 parameters") {
		t.Errorf("the CNN-Transformer is not made in its full size\n%s", said)
	}
	table := readResult(t, filepath.Join(dir, "out", "comparison", "Table4.csv"), "IDEFICS 9B Instruct", "CNN–Transformer Fusion")
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil || len(rows) != 11 || strings.Contains(table, "REHEARSAL") {
		t.Fatalf("%v\n%s", err, table)
	}
	for _, row := range rows[1:] {
		for i, cell := range row {
			if cell == "" {
				t.Errorf("%s has no %s", row[0], rows[0][i])
			}
		}
	}
	if said := run(); strings.Contains(said, "train.LoRA:") || strings.Contains(said, "will run") {
		t.Errorf("the second run finds not everything in the store\n%s", said)
	}
}
