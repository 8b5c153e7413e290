package modality

import (
	"math"
	"math/rand/v2"
	"testing"
)

// blobs draws n points around one centre per class.
func blobs(n int, spread float64, seed uint64) (x [][]float64, y []int, classes []string) {
	r := rand.New(rand.NewPCG(seed, 1))
	classes = []string{"CT", "MRI", "Radiograph"}
	for i := range n {
		c := i % 3
		row := make([]float64, 5)
		for j := range row {
			row[j] = spread * r.NormFloat64()
		}
		row[c] += 3
		row[4] = 7 // a constant feature must not divide by zero
		x, y = append(x, row), append(y, c)
	}
	return x, y, classes
}

func TestFitSeparates(t *testing.T) {
	x, y, classes := blobs(90, 0.5, 1)
	l, err := fit(x, y, classes)
	if err != nil {
		t.Fatal(err)
	}
	test, want, _ := blobs(60, 0.5, 2)
	right := 0
	for i, r := range test {
		if l.predict(r) == classes[want[i]] {
			right++
		}
	}
	if right < 58 {
		t.Errorf("%d of 60 unseen points right, want at least 58", right)
	}
}

// At the optimum of a strictly convex problem the gradient vanishes; it is computed here by hand, not by Gorgonia.
func TestFitIsOptimal(t *testing.T) {
	x, y, classes := blobs(60, 2, 3)
	l, err := fit(x, y, classes)
	if err != nil {
		t.Fatal(err)
	}
	k, d := len(classes), len(x[0])
	grad := make([]float64, d*k)
	for i, r := range x {
		z := l.apply(r)
		s, sum := make([]float64, k), 0.0
		for c := range k {
			s[c] = l.b[c]
			for j := range z {
				s[c] += z[j] * l.w[j*k+c]
			}
			s[c] = math.Exp(s[c])
			sum += s[c]
		}
		for c := range k {
			p := s[c] / sum
			if y[i] == c {
				p--
			}
			for j := range z {
				grad[j*k+c] += p * z[j] / float64(len(x))
			}
		}
	}
	for i := range grad {
		if g := grad[i] + 2*fitDecay*l.w[i]; math.Abs(g) > 2e-3 {
			t.Errorf("gradient %d is %.5f at the fitted point, want 0", i, g)
		}
	}
}

func TestFitIsDeterministic(t *testing.T) {
	x, y, classes := blobs(40, 1, 4)
	a, err := fit(x, y, classes)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := fit(x, y, classes)
	for i := range a.w {
		if a.w[i] != b.w[i] {
			t.Fatalf("weight %d: %v and %v from the same rows", i, a.w[i], b.w[i])
		}
	}
}
