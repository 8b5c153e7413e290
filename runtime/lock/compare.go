package lock

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"lightbox/runtime/step"
)

// Verdict is the outcome of comparing one entry.
type Verdict uint8

const (
	Same    Verdict = iota // the same bits
	Close                  // another kind of device: the headline numbers agree
	Differs                // the result is not what the lock says
	Changed                // the recipe, its files or the operation changed since, so it must differ
	Missing                // in one of the two only
)

func (v Verdict) String() string {
	return [...]string{"same bits", "numbers agree", "DIFFERS", "changed", "missing"}[v]
}

// Finding is what Compare says of one entry.
type Finding struct {
	Name    string
	Verdict Verdict
	Why     []string
}

// OK reports whether the entry was reproduced.
func (f Finding) OK() bool { return f.Verdict == Same || f.Verdict == Close }

// Compare compares a lock with what was just made, entry by entry, sorted by
// name. Bits are compared where both were made by the same kind of device and
// instruction set; elsewhere different bits are accepted for steps, and the
// displayed numbers must agree within their intervals, or 1%.
func Compare(lock, now *File) []Finding {
	names := map[string]bool{}
	for n := range lock.Entries {
		names[n] = true
	}
	for n := range now.Entries {
		names[n] = true
	}
	var out []Finding
	for n := range names {
		a, inLock := lock.Entries[n]
		b, inNow := now.Entries[n]
		switch {
		case !inLock:
			out = append(out, Finding{n, Missing, []string{"not in the lock file"}})
		case !inNow:
			out = append(out, Finding{n, Missing, []string{"in the lock file only"}})
		default:
			f := compareEntry(a, b, lock.Seed, now.Seed)
			f.Name = n
			out = append(out, f)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	nameInputs(out, now)
	return out
}

func compareEntry(a, b Entry, seedA, seedB uint64) Finding {
	if why := causes(a, b, seedA, seedB); len(why) > 0 {
		return Finding{Verdict: Changed, Why: why}
	}
	var why []string
	for _, k := range numberNames(a, b) {
		x, inA := a.Numbers[k]
		y, inB := b.Numbers[k]
		if x == y && inA && inB {
			continue
		}
		if !inA || !inB || a.Device == b.Device || !agree(x, y) {
			why = append(why, fmt.Sprintf("%s: %s in the lock, %s now", k, orNone(x), orNone(y)))
		}
	}
	bits := a.Content == b.Content
	switch {
	case len(why) > 0:
		return Finding{Verdict: Differs, Why: why}
	case bits:
		return Finding{Verdict: Same}
	case a.Device == b.Device:
		return Finding{Verdict: Differs, Why: []string{fmt.Sprintf("content %.12s in the lock, %.12s now, both made on %s", a.Content, b.Content, a.Device)}}
	}
	return Finding{Verdict: Close, Why: []string{fmt.Sprintf("other bits, made on %s; the lock was made on %s", b.Device, a.Device)}}
}

// causes says why two entries were not made from the same things.
func causes(a, b Entry, seedA, seedB uint64) []string {
	var why []string
	if a.Key == b.Key {
		return nil
	}
	if a.Op != b.Op {
		why = append(why, fmt.Sprintf("operation %s in the lock, %s now", a.Op, b.Op))
	} else if a.Version != b.Version {
		why = append(why, fmt.Sprintf("%s has version %s in the lock, %s now", a.Op, a.Version, b.Version))
	}
	if a.Sources != b.Sources {
		why = append(why, fileChanges(a, b)...)
	}
	if a.Seed != nil && b.Seed != nil && seedA != seedB {
		why = append(why, fmt.Sprintf("seed %d in the lock, %d now", seedA, seedB))
	}
	why = append(why, step.Changes([]byte(a.Params), []byte(b.Params))...)
	if len(why) == 0 {
		why = append(why, madeFromOther)
	}
	return why
}

// madeFromOther is why an entry changed of which nothing itself did.
const madeFromOther = "what it is made from changed"

// nameInputs says of entries that changed with their inputs which those are.
func nameInputs(found []Finding, now *File) {
	changed := map[string]bool{} // by variable
	for _, f := range found {
		if f.Verdict == Changed || f.Verdict == Missing {
			changed[variable(f.Name)] = true
		}
	}
	for _, f := range found {
		for i, why := range f.Why {
			if why != madeFromOther {
				continue
			}
			var names []string
			for _, in := range now.Entries[f.Name].inputs {
				if changed[in] && in != variable(f.Name) && !slices.Contains(names, in) {
					names = append(names, in)
				}
			}
			switch {
			case len(names) == 0 && slices.Contains(now.Entries[f.Name].inputs, variable(f.Name)):
				f.Why[i] = "an earlier step of it changed"
			case len(names) > 0:
				f.Why[i] = "it is made from " + strings.Join(names, ", ") + ", which changed"
			}
		}
	}
}

// variable is that of an entry: of captions[1] captions.
func variable(entry string) string {
	name, _, _ := strings.Cut(entry, "[")
	return name
}

func numberNames(a, b Entry) []string {
	all := map[string]bool{}
	for k := range a.Numbers {
		all[k] = true
	}
	for k := range b.Numbers {
		all[k] = true
	}
	var out []string
	for k := range all {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
