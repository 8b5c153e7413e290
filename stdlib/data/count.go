package data

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"

	"lightbox/runtime/step"
)

// Count is how many examples each split of the set behind ref holds, told from the plan alone: options, CSV tables and
// folder listings are looked at, no step is run. exact is false where the numbers are a bound or a share (filters, samples,
// rows that may turn out bad); then they are never too small, samples of several splits excepted. nil: nothing is known.
func Count(ref step.Ref) (counts map[string]int, exact bool) {
	if !ref.Valid() || len(ref.Errors()) > 0 {
		return nil, false
	}
	s := ref.Step()
	switch p := s.Params.(type) {
	case PhantomOptions:
		return positive(map[string]int{"train": p.Train + p.Glossary + p.Reports, "valid": p.Valid, "test": p.Test}), true
	case rocoParams:
		return countROCO(p)
	case folderParams:
		return countFolder(p)
	case imagesParams:
		return map[string]int{"test": len(p.Paths)}, true
	}
	if s.Op == nil || len(s.In) == 0 {
		return nil, false
	}
	if s.Op == joinOp {
		return countJoin(s.In)
	}
	in, exact := Count(s.In[0])
	if in == nil {
		return nil, false
	}
	switch p := s.Params.(type) {
	case splitParams:
		return positive(map[string]int{p.Name: in[p.Name]}), exact
	case whereParams:
		return in, false
	case sampleParams:
		return countSample(in, p, exact)
	}
	switch s.Op {
	case shuffleOp, standardOp, hintOp:
		return in, exact
	}
	return nil, false
}

// countJoin adds up the splits of several sets.
func countJoin(refs []step.Ref) (map[string]int, bool) {
	sum, exact := map[string]int{}, true
	for _, r := range refs {
		in, e := Count(r)
		if in == nil {
			return nil, false
		}
		for split, n := range in {
			sum[split] += n
		}
		exact = exact && e
	}
	return sum, exact
}

// Total adds the splits up.
func Total(counts map[string]int) int {
	n := 0
	for _, k := range counts {
		n += k
	}
	return n
}

func positive(counts map[string]int) map[string]int {
	for split, n := range counts {
		if n <= 0 {
			delete(counts, split)
		}
	}
	return counts
}

// countSample takes the first examples in the order of the splits, or of a random sample each split's share, rounded up.
func countSample(in map[string]int, p sampleParams, exact bool) (map[string]int, bool) {
	total := Total(in)
	if p.N >= total {
		return in, exact
	}
	out, left := map[string]int{}, p.N
	for _, split := range splitNames {
		n := min(left, in[split])
		if p.Random {
			n = (in[split]*p.N + total - 1) / total
		}
		out[split] = n
		left -= n
	}
	return positive(out), exact && len(in) == 1
}

func countROCO(p rocoParams) (map[string]int, bool) {
	out := map[string]int{}
	for _, split := range splitNames {
		n, err := csvRows(captionsFile(p.Dir, split))
		if errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, false
		}
		out[split] = n
	}
	return positive(out), p.Options.BadRows == RefuseBadRows
}

func countFolder(p folderParams) (map[string]int, bool) {
	root, err := filepath.Abs(p.Dir)
	if err != nil {
		return nil, false
	}
	rd, err := readFolder(root)
	if err != nil {
		return nil, false
	}
	out := map[string]int{}
	for _, ex := range rd.examples {
		out[ex.Split]++
	}
	return out, p.BadRows == RefuseBadRows
}

// counted remembers the rows of a CSV file by name, size and time: a plan asks once per step that uses the set.
var counted sync.Map // csvKey -> int

type csvKey struct {
	name string
	size int64
	time int64
}

// csvRows is the number of rows below the header.
func csvRows(name string) (int, error) {
	st, err := os.Stat(name)
	if err != nil {
		return 0, err
	}
	key := csvKey{name, st.Size(), st.ModTime().UnixNano()}
	if n, ok := counted.Load(key); ok {
		return n.(int), nil
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	r := newCSV(raw)
	r.ReuseRecord = true
	n := -1
	for {
		if _, err := r.Read(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return 0, err
		}
		n++
	}
	n = max(n, 0)
	counted.Store(key, n)
	return n, nil
}
