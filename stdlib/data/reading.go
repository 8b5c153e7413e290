package data

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// A badRow is one row that cannot be used, and why.
type badRow struct {
	place string // file:line
	id    string
	why   string
}

func (b badRow) String() string {
	if b.id == "" {
		return b.place + ": " + b.why
	}
	return b.place + ": " + b.id + ": " + b.why
}

// A reading is a source on disk while it is read: the examples so far and the rows that are none.
type reading struct {
	root     string
	examples []Example
	places   []string     // file:line, parallel to examples
	dropped  map[int]bool // examples that turned out bad
	bad      []badRow
	seen     map[string]string // split/ID -> place
}

// settle applies the policy to the bad rows.
func (rd *reading) settle(policy Policy, meta *Meta) ([]Example, error) {
	sort.SliceStable(rd.bad, func(i, j int) bool { return lessPlace(rd.bad[i].place, rd.bad[j].place) })
	kept := make([]Example, 0, len(rd.examples))
	for i, ex := range rd.examples {
		if !rd.dropped[i] {
			kept = append(kept, ex)
		}
	}
	if len(rd.bad) > 0 && policy == RefuseBadRows {
		return nil, badRowsError(rd.bad)
	}
	for _, b := range rd.bad {
		meta.Skipped = append(meta.Skipped, b.String())
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("%s holds no usable row", rd.root)
	}
	return kept, nil
}

// lessPlace orders file:line places by file, then by line as a number.
func lessPlace(a, b string) bool {
	i, j := strings.LastIndexByte(a, ':'), strings.LastIndexByte(b, ':')
	if a[:i] != b[:j] {
		return a[:i] < b[:j]
	}
	return len(a) < len(b) || len(a) == len(b) && a < b
}

const shownBadRows = 20

func badRowsError(bad []badRow) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d bad rows (data.ROCOOptions{BadRows: data.SkipBadRows} leaves such rows out and counts them)", len(bad))
	for i, row := range bad {
		if i == shownBadRows {
			fmt.Fprintf(&b, "\n  and %d more", len(bad)-i)
			break
		}
		b.WriteString("\n  " + row.String())
	}
	return errors.New(b.String())
}

// repeated warns where captions or IDs of one split stand in another: such a test measures memory too.
func repeated(examples []Example) []string {
	captions, ids := map[string]bool{}, map[string]bool{}
	for _, ex := range examples {
		if ex.Split == "train" {
			captions[strings.TrimSpace(ex.Caption)] = true
			ids[ex.ID] = true
		}
	}
	var warnings []string
	for _, split := range splitNames[1:] {
		n, of := 0, 0
		var same []string
		for _, ex := range examples {
			if ex.Split != split {
				continue
			}
			of++
			if captions[strings.TrimSpace(ex.Caption)] {
				n++
			}
			if ids[ex.ID] {
				same = append(same, ex.ID)
			}
		}
		if n > 0 {
			warnings = append(warnings, fmt.Sprintf("%d of the %d captions in %q stand in \"train\" too", n, of, split))
		}
		if len(same) > 0 {
			warnings = append(warnings, fmt.Sprintf("%d of the %d IDs in %q stand in \"train\" too: %s", len(same), of, split, strings.Join(same[:min(3, len(same))], ", ")))
		}
	}
	return warnings
}
