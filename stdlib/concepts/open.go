package concepts

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"
)

// The names of the Disease Ontology (CC0, disease-ontology.org) that have a UMLS
// concept: lines of CUI, name and the ontology's own identifier.
//
//go:embed disease_ontology.tsv.gz
var diseaseOntology []byte

//go:embed terms.tsv
var terms string

// diseases is the semantic type that all of the ontology's names get here: the
// ontology does not say which of them are neoplasms or findings.
const diseases = "T047" // Disease or Syndrome

var open = sync.OnceValue(func() *Dictionary {
	d, err := readOpen()
	if err != nil {
		panic(fmt.Sprintf("concepts: the embedded dictionary: %v", err)) // a test reads it
	}
	return d
})

// Open is the open dictionary, which is part of the program: the names of the
// Disease Ontology, and terms of modality, anatomy and findings written for this
// project (terms.tsv, which says what its concepts rest on). Names are in lower
// case and all are preferred. It knows no laterality, no visual markers, and of
// findings mostly diseases: scores with it are lower than with all of UMLS, and
// comparable only among themselves.
func Open() *Dictionary { return open() }

// OpenTitle is what the open dictionary is called.
const OpenTitle = "Disease Ontology and Lightbox's terms, embedded"

// OpenHash names the content of the open dictionary without reading it.
func OpenHash() string { return openHash() }

var openHash = sync.OnceValue(func() string {
	h := sha256.New()
	h.Write(diseaseOntology)
	h.Write([]byte(terms))
	return hex.EncodeToString(h.Sum(nil)[:6])
})

func readOpen() (*Dictionary, error) {
	b := newBuilder(OpenTitle, true, false)
	for n, line := range strings.Split(strings.TrimSpace(terms), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 4 || !isCUI(f[0]) {
			return nil, fmt.Errorf("terms.tsv, line %d: %q", n+1, line)
		}
		b.name(f[1], b.concept(f[0], []string{f[2]}), true)
	}
	z, err := gzip.NewReader(bytes.NewReader(diseaseOntology))
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	for n, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		f := strings.Split(line, "\t")
		if n == 0 {
			continue // the header
		}
		if len(f) != 3 || !isCUI(f[0]) {
			return nil, fmt.Errorf("disease_ontology.tsv, line %d: %q", n+1, line)
		}
		b.name(f[1], b.concept(f[0], []string{diseases}), true)
	}
	d := b.done()
	d.hash = openHash()
	return d, nil
}

// isCUI reports whether s is a UMLS concept identifier: C and seven digits.
func isCUI(s string) bool {
	if len(s) != 8 || s[0] != 'C' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
