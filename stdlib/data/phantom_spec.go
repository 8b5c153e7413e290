package data

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
)

// A phantomSpec is the ground truth of one phantom: everything its picture and its caption are made of.
// It is a pure function of (seed, index), so no pixels are ever stored.
type phantomSpec struct {
	Seed     uint64
	Index    int
	Size     int // pixels per side
	Modality string
	Plane    string
	Anatomy  string
	Finding  string
	Side     string // the patient's side: "right" is on the left of the picture, as radiologists read it
	Marker   string // "" is none
	MM       int    // diameter of the finding
	X, Y, R  float64
	Wording  int
	noise    *rand.Rand
}

// phantomVersion joins every image reference: pictures of another version are other pictures.
const phantomVersion = 1

// mmPerUnit is the scale of all phantoms: a picture is two units (102.4 mm) wide.
const mmPerUnit = 51.2

type phantomRegion struct{ anatomy, plane string }

// What each modality is drawn of. Every region differs by its outline, so that a model can tell them apart at 64 pixels.
var phantomRegions = map[string][]phantomRegion{
	"CT":         {{"chest", "axial"}, {"chest", "coronal"}, {"abdomen", "axial"}, {"brain", "axial"}},
	"MRI":        {{"brain", "axial"}, {"brain", "coronal"}, {"pelvis", "coronal"}, {"abdomen", "axial"}},
	"Radiograph": {{"chest", "frontal"}, {"pelvis", "frontal"}, {"knee", "frontal"}},
	"Ultrasound": {{"liver", "transverse"}, {"kidney", "longitudinal"}, {"thyroid", "transverse"}},
}

var (
	phantomModalities = []string{"CT", "MRI", "Radiograph", "Ultrasound"}
	phantomFindings   = []string{"mass", "cyst", "calcification", "effusion"}
	phantomMarkers    = []string{"", "arrow", "arrowhead", "asterisk"}
	phantomMM         = []int{10, 15, 22, 32}
)

func newPhantom(seed uint64, index, size int) phantomSpec {
	r := rand.New(rand.NewPCG(seed, uint64(index)^0x9e3779b97f4a7c15))
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	p := phantomSpec{Seed: seed, Index: index, Size: size}
	p.Modality = pick(phantomModalities)
	region := phantomRegions[p.Modality][r.IntN(len(phantomRegions[p.Modality]))]
	p.Anatomy, p.Plane = region.anatomy, region.plane
	p.Finding = pick(phantomFindings)
	p.Marker = pick(phantomMarkers)
	p.MM = phantomMM[r.IntN(len(phantomMM))]
	p.R = float64(p.MM) / 2 / mmPerUnit
	p.X = 0.30 + 0.22*r.Float64()
	p.Side = "left"
	if r.IntN(2) == 0 {
		p.X, p.Side = -p.X, "right"
	}
	p.Y = -0.35 + 0.7*r.Float64()
	p.Wording = r.IntN(3)
	p.noise = r
	return p
}

// ref is the image reference that phantomFromRef reads back.
func (p phantomSpec) ref() string {
	return fmt.Sprintf("phantom:v%d?seed=%d&index=%d&size=%d", phantomVersion, p.Seed, p.Index, p.Size)
}

func phantomFromRef(ref string) (phantomSpec, error) {
	head := fmt.Sprintf("phantom:v%d?", phantomVersion)
	query, ok := strings.CutPrefix(ref, head)
	if !ok {
		return phantomSpec{}, fmt.Errorf("image reference %q: this build draws phantoms of version %d only", ref, phantomVersion)
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return phantomSpec{}, fmt.Errorf("image reference %q: %w", ref, err)
	}
	seed, err1 := strconv.ParseUint(q.Get("seed"), 10, 64)
	index, err2 := strconv.Atoi(q.Get("index"))
	size, err3 := strconv.Atoi(q.Get("size"))
	if err1 != nil || err2 != nil || err3 != nil || size < minPhantomSize || size > maxPhantomSize {
		return phantomSpec{}, fmt.Errorf("image reference %q: want seed, index and size (%d to %d) as numbers", ref, minPhantomSize, maxPhantomSize)
	}
	return newPhantom(seed, index, size), nil
}

// attrs is the ground truth by component, and the place of the finding on a grid of 8 by 8 cells, which no caption names
// but which a vision tower can be taught.
func (p phantomSpec) attrs() map[string]string {
	cell := func(u float64) string { return strconv.Itoa(int((u + 1) * 4)) }
	a := map[string]string{
		"modality": p.Modality, "plane": p.Plane, "anatomy": p.Anatomy, "finding": p.Finding,
		"side": p.Side, "size": strconv.Itoa(p.MM), "column": cell(p.X), "row": cell(p.Y),
	}
	if p.Marker != "" {
		a["marker"] = p.Marker
	}
	return a
}
