package concepts

import "math/bits"

// sortPosts sorts lists by length as std::sort of libstdc++ does: introsort
// (Musser, 1997), pivot the median of the second, middle and last element,
// insertion sort below 17 elements. It is not stable, and where lists of one
// length end up decides in which order simstring finds equally similar names.
func sortPosts(p []post) {
	if len(p) < 2 {
		return
	}
	introsort(p, 2*(bits.Len(uint(len(p)))-1))
	insertionSort(p)
}

// insertionSort is stable.
func insertionSort(p []post) {
	for i := 1; i < len(p); i++ {
		x := p[i]
		j := i
		for ; j > 0 && x.len() < p[j-1].len(); j-- {
			p[j] = p[j-1]
		}
		p[j] = x
	}
}

const smallSort = 16

func introsort(p []post, depth int) {
	less := func(a, b int) bool { return p[a].len() < p[b].len() }
	for len(p) > smallSort {
		if depth == 0 {
			heapsort(p)
			return
		}
		depth--
		a, b, c := 1, len(p)/2, len(p)-1
		m := b
		switch {
		case less(a, b) && less(b, c):
		case less(a, b) && less(a, c):
			m = c
		case less(a, b) || less(a, c):
			m = a
		case less(b, c):
			m = c
		}
		p[0], p[m] = p[m], p[0]
		i, j := 1, len(p)
		for {
			for less(i, 0) {
				i++
			}
			j--
			for less(0, j) {
				j--
			}
			if i >= j {
				break
			}
			p[i], p[j] = p[j], p[i]
			i++
		}
		introsort(p[i:], depth)
		p = p[:i]
	}
}

// heapsort is what introsort falls back to when its pivots are bad.
func heapsort(p []post) {
	for i := len(p)/2 - 1; i >= 0; i-- {
		sift(p, i, p[i])
	}
	for n := len(p) - 1; n > 0; n-- {
		x := p[n]
		p[n] = p[0]
		sift(p[:n], 0, x)
	}
}

// sift lets the hole at i sink to a leaf and x rise from there.
func sift(p []post, i int, x post) {
	top := i
	for 2*i+2 < len(p) {
		child := 2*i + 2
		if p[child].len() < p[child-1].len() {
			child--
		}
		p[i] = p[child]
		i = child
	}
	if 2*i+2 == len(p) {
		p[i] = p[2*i+1]
		i = 2*i + 1
	}
	for i > top && p[(i-1)/2].len() < x.len() {
		p[i] = p[(i-1)/2]
		i = (i - 1) / 2
	}
	p[i] = x
}
