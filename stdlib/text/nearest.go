package text

import "strings"

// Nearest returns the name in among that a user who typed got most likely meant, for "did you mean"
// in error texts. Distance is Damerau-Levenshtein with adjacent transpositions (optimal string
// alignment) over the lower-cased runes; a name counts when at most a third of the longer of the two
// (rounded up) has to change, and never all of it. Of equally near names the first in
// alphabetical order is returned, so that the order of among does not matter.
func Nearest(got string, among []string) (string, bool) {
	best, bestDistance := "", -1
	a := []rune(strings.ToLower(got))
	for _, name := range among {
		b := []rune(strings.ToLower(name))
		longer := max(len(a), len(b))
		limit := min((longer+2)/3, longer-1)
		if diff := len(a) - len(b); diff > limit || -diff > limit {
			continue
		}
		d := damerau(a, b)
		if d > limit {
			continue
		}
		if bestDistance < 0 || d < bestDistance || d == bestDistance && name < best {
			best, bestDistance = name, d
		}
	}
	return best, bestDistance >= 0
}

// damerau is the optimal string alignment distance of a and b: insertions, deletions,
// substitutions and swaps of neighbours cost one each.
func damerau(a, b []rune) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
