package lightbox_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// policy is the order of the packages: each imports only what stands on an
// earlier line. Changing it is a decision; DESIGN.md says why it is as it is.
const policy = `
kernels/tensor
kernels/cpu  kernels/cuda
kernels/ops
runtime/step  runtime/view
runtime/step/steptest
stdlib/param  stdlib/text  stdlib/stats  stdlib/frame  stdlib/safetensors  stdlib/nn
stdlib/torchfile  stdlib/text/punkt  stdlib/text/jinja  stdlib/text/tokenizer  stdlib/vision  stdlib/nn/clip  stdlib/nn/llama  stdlib/nn/decoder  stdlib/nn/vit  stdlib/nn/resnet  stdlib/nn/densenet  stdlib/nn/davit
stdlib/weights
stdlib/data  stdlib/models/model
stdlib/models/checkpoint
stdlib/models/clipllama
stdlib/models/llava  stdlib/models/llavanext  stdlib/models/moondream  stdlib/models/visiongpt2  stdlib/models/cnntransformer  stdlib/models/idefics3  stdlib/models/qwenvl  stdlib/models/idefics
stdlib/models
stdlib/lora  stdlib/features
stdlib/train  stdlib/generate  stdlib/inspect
stdlib/modality  stdlib/concepts  stdlib/score/encoders
stdlib/score/dual
stdlib/score
stdlib/paper
stdlib/table
stdlib/plot
recipes/*
recipes
runtime/recipe  runtime/store  runtime/symbols/allow
runtime/symbols
runtime/eval  runtime/exec  runtime/report  runtime/lock
runtime/session
runtime/repl  runtime/jupyter
cmd/lightbox
`

// tools are programs of go generate and pieces of tests: nobody imports them
// but tests and each other, so they may import anything.
func isTool(p string) bool {
	return strings.Contains(p, "/internal/") || strings.HasPrefix(p, "bench/") || p == "bench" || strings.HasPrefix(p, "recipes/internal")
}

// walls are what the order alone does not say: who may import a package.
var walls = []struct {
	name string
	bad  func(from, to string) bool
}{
	{"only kernels/ops imports cpu and cuda", func(from, to string) bool {
		return (to == "kernels/cpu" || to == "kernels/cuda") && from != "kernels/ops"
	}},
	{"stdlib sees of the runtime only step and view", func(from, to string) bool {
		return in(from, "stdlib") && in(to, "runtime") && to != "runtime/step" && to != "runtime/view"
	}},
	{"kernels know neither runtime nor stdlib", func(from, to string) bool {
		return in(from, "kernels") && !in(to, "kernels")
	}},
	{"recipes import only stdlib", func(from, to string) bool {
		return in(from, "recipes") && !in(to, "stdlib")
	}},
	{"of the runtime only symbols imports stdlib, but for the near names of stdlib/text", func(from, to string) bool {
		return in(from, "runtime") && in(to, "stdlib") && from != "runtime/symbols" && to != "stdlib/text"
	}},
	{"cmd imports only runtime", func(from, to string) bool { return in(from, "cmd") && !in(to, "runtime") }},
	{"steptest is for tests", func(_, to string) bool { return to == "runtime/step/steptest" }},
}

func in(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

type listed struct {
	ImportPath string
	Imports    []string
}

func list(t *testing.T) []listed {
	t.Helper()
	out := goList(t, "-e", "-json=ImportPath,Imports", "./...")
	var all []listed
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func goList(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command here")
	}
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return string(out)
}

// ranks maps a package to its line; recipes/* is every recipe.
func ranks() map[string]int {
	m := map[string]int{}
	for i, line := range strings.Split(strings.TrimSpace(policy), "\n") {
		for _, p := range strings.Fields(line) {
			m[p] = i
		}
	}
	return m
}

func rank(m map[string]int, p string) (int, bool) {
	if n, ok := m[p]; ok {
		return n, true
	}
	if name, ok := strings.CutPrefix(p, "recipes/"); ok && !strings.Contains(name, "/") {
		return m["recipes/*"], true
	}
	return 0, false
}

func TestImports(t *testing.T) {
	order := ranks()
	for _, p := range list(t) {
		from, ours := strings.CutPrefix(p.ImportPath, "lightbox/")
		if !ours || isTool(from) {
			continue
		}
		at, known := rank(order, from)
		if !known {
			t.Errorf("%s is not in the import policy: give it a line in imports_test.go", from)
			continue
		}
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, "lightbox/")
			if !ours {
				continue
			}
			if in(to, from+"/internal") {
				continue
			}
			n, known := rank(order, to)
			if !known || n >= at {
				t.Errorf("%s imports %s, which does not stand on an earlier line of the import policy", from, to)
			}
			for _, w := range walls {
				if w.bad(from, to) {
					t.Errorf("%s imports %s: %s", from, to, w.name)
				}
			}
		}
	}
}

// TestForbiddenImports: what recipes must never reach is not linked at all.
func TestForbiddenImports(t *testing.T) {
	for _, p := range strings.Fields(goList(t, "-e", "-deps", "./cmd/lightbox")) {
		switch p {
		case "github.com/traefik/yaegi/stdlib", "github.com/traefik/yaegi/stdlib/unrestricted", "runtime/cgo", "plugin":
			t.Errorf("cmd/lightbox links %s", p)
		}
	}
}
