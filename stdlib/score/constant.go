package score

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"

	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
)

// ConstantOptions bound the search for the best constant caption. Zero fields
// take the defaults.
type ConstantOptions struct {
	// Candidates is the largest number of different captions tried per
	// modality; more are sampled from the seed. Default 512.
	Candidates int
	// References is the largest number of training captions per modality that a
	// candidate is scored against; more are sampled. Default 2048.
	References int
	Seed       uint64
}

const (
	constantCandidates = 512
	constantReferences = 2048
)

// constantFile holds what was chosen and why, beside the rows.
const constantFile = "constants.json"

// BestConstant captions every image of test with one sentence per modality: the
// training caption with the highest mean ROUGE-1 against the training captions
// of that modality (set.Split("train"); test captions are never read for the
// choice). It is the baseline that looks at no image: what a system scores
// above it, it has seen. A modality that training lacks gets the best caption
// over all of training; images of unknown modality form a class of their own.
//
// The result is a frame of captions like that of a system, labelled
// system="best constant caption"; As gives another name. Equal means go to the
// caption that stands first in the set.
func BestConstant(set, test data.Set, opts ...ConstantOptions) frame.Frame {
	var p ConstantOptions
	if len(opts) > 0 {
		p = opts[len(opts)-1]
	}
	op := constantOp
	if p.Candidates < 0 || p.References < 0 {
		bad := *constantOp
		bad.Check = func(step.Step) []error {
			return []error{fmt.Errorf("candidates %d and references %d: want at least 1 of each, or 0 for the default", p.Candidates, p.References)}
		}
		op = &bad
	}
	f := frame.New(step.New(op, p, set.Ref(), test.Ref()), frame.CaptionColumns("system"))
	return f.WithImages(data.Film)
}

var constantOp = &step.Op{Name: "score.BestConstant", Version: "1", Run: runConstant}

type constant struct {
	Modality   string  `json:"modality"` // "" of images whose modality is not known
	Caption    string  `json:"caption"`
	ROUGE1     float64 `json:"rouge1"` // mean over the references tried
	Candidates int     `json:"candidates"`
	References int     `json:"references"`
}

func runConstant(ctx *step.Context, dir string) error {
	p := ctx.Step().Params.(ConstantOptions)
	if p.Candidates == 0 {
		p.Candidates = constantCandidates
	}
	if p.References == 0 {
		p.References = constantReferences
	}
	set, err := data.Open(ctx.Input(0))
	if err != nil {
		return err
	}
	test, err := data.Open(ctx.Input(1))
	if err != nil {
		return err
	}
	chosen, err := chooseConstants(ctx, set, test, p)
	if err != nil {
		return err
	}
	rows := frame.NewRows(frame.CaptionColumns("system"))
	for i := range test.Len() {
		ex, at := test.Example(i), rows.Add()
		rows.SetString(at, "system", "best constant caption")
		rows.SetString(at, frame.ID, ex.ID)
		rows.SetString(at, frame.Image, ex.Image)
		rows.SetString(at, frame.Reference, ex.Caption)
		rows.SetString(at, frame.Caption, chosen[ex.Modality].Caption)
		rows.SetString(at, frame.Modality, ex.Modality)
	}
	report := make([]constant, 0, len(chosen))
	for _, c := range chosen {
		report = append(report, c)
	}
	sort.Slice(report, func(i, j int) bool { return report[i].Modality < report[j].Modality })
	if err := writeJSON(filepath.Join(dir, constantFile), report); err != nil {
		return err
	}
	return rows.Write(dir)
}

// chooseConstants finds the caption of every modality that test has, among the
// training captions of set.
func chooseConstants(ctx *step.Context, set, test *data.Reader, p ConstantOptions) (map[string]constant, error) {
	byModality := map[string][]string{}
	var all []string
	for i := range set.Len() {
		if ex := set.Example(i); ex.Split == "train" && ex.Caption != "" {
			byModality[ex.Modality] = append(byModality[ex.Modality], ex.Caption)
			all = append(all, ex.Caption)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the set has %d examples, none of them in the split \"train\" with a caption", set.Len())
	}
	chosen := map[string]constant{}
	for i := range test.Len() {
		m := test.Example(i).Modality
		if _, ok := chosen[m]; ok {
			continue
		}
		captions := byModality[m]
		if len(captions) == 0 {
			captions = all
		}
		c, err := bestCaption(ctx, captions, p)
		if err != nil {
			return nil, err
		}
		c.Modality = m
		chosen[m] = c
	}
	return chosen, nil
}

// bestCaption finds the caption with the highest mean ROUGE-1 against all.
func bestCaption(ctx *step.Context, captions []string, p ConstantOptions) (constant, error) {
	words := map[string]int32{}
	var unique []string
	seen := map[string]bool{}
	for _, c := range captions {
		if !seen[c] {
			seen[c] = true
			unique = append(unique, c)
		}
	}
	candidates := sample(unique, p.Candidates, p.Seed)
	references := sample(captions, p.References, p.Seed)
	refs := make([][]int32, len(references))
	for i, s := range references {
		refs[i] = number(rougeTokens(s, false), words)
	}
	best := constant{ROUGE1: -1, Candidates: len(candidates), References: len(references)}
	var c counter
	metric := rouge{N: 1}
	for k, s := range candidates {
		if err := ctx.Err(); err != nil {
			return best, err
		}
		ctx.Progress(int64(k), int64(len(candidates)), "candidates")
		cand := number(rougeTokens(s, false), words)
		sum := 0.0
		for _, ref := range refs {
			sum += metric.pair(&c, ref, cand)
		}
		if mean := sum / float64(len(refs)); mean > best.ROUGE1 {
			best.Caption, best.ROUGE1 = s, mean
		}
	}
	return best, nil
}

// sample keeps n of xs chosen from the seed, in their order.
func sample(xs []string, n int, seed uint64) []string {
	if len(xs) <= n {
		return xs
	}
	at := rand.New(rand.NewPCG(seed, 0xc0ca)).Perm(len(xs))[:n]
	sort.Ints(at)
	out := make([]string, n)
	for i, j := range at {
		out[i] = xs[j]
	}
	return out
}

func writeJSON(path string, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o666)
}
