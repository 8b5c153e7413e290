package data

import (
	"fmt"
	"strings"
)

// Words of the two registers. One convention of left and right serves both: the patient's.
var (
	phantomBright = map[string]string{"CT": "hyperdense", "MRI": "hyperintense", "Radiograph": "radiopaque", "Ultrasound": "hyperechoic"}
	phantomDark   = map[string]string{"CT": "hypodense", "MRI": "hypointense", "Radiograph": "radiolucent", "Ultrasound": "anechoic"}
	modalityNoun  = map[string]string{"CT": "CT", "MRI": "MRI", "Radiograph": "radiograph", "Ultrasound": "ultrasound"}

	plainModality = map[string]string{"CT": "sharp slice picture", "MRI": "soft slice picture", "Radiograph": "shadow picture", "Ultrasound": "echo picture"}
	plainAnatomy  = map[string]string{"brain": "head", "chest": "chest", "abdomen": "belly", "pelvis": "hip", "knee": "knee", "liver": "liver", "kidney": "kidney", "thyroid": "neck"}
	plainPlane    = map[string]string{"axial": "cut across from below", "coronal": "cut upright", "frontal": "seen from the front", "transverse": "cut across", "longitudinal": "cut lengthwise"}
	plainFinding  = map[string]string{"mass": "bright round lump", "cyst": "dark bubble with a bright edge", "calcification": "group of bright dots", "effusion": "bright crescent"}
	plainSize     = map[int]string{10: "tiny", 15: "small", 22: "middle sized", 32: "large"}
	plainMarker   = map[string]string{"": "nothing points at it", "arrow": "an arrow points at it", "arrowhead": "a triangle points at it", "asterisk": "a star lies beside it"}
)

func phantomDensity(modality, finding string) string {
	if finding == "cyst" {
		return phantomDark[modality]
	}
	return phantomBright[modality]
}

func indefinite(word string) string {
	if strings.ContainsRune("aeiou", rune(word[0])) {
		return "an"
	}
	return "a"
}

// radiology is the caption that a radiologist's figure would carry.
func (p phantomSpec) radiology() string {
	plane := strings.ToUpper(p.Plane[:1]) + p.Plane[1:]
	noun := modalityNoun[p.Modality]
	density := phantomDensity(p.Modality, p.Finding)
	article := indefinite(density)
	paren, clause := "", ""
	if p.Marker != "" {
		paren = " (" + p.Marker + ")"
		clause = ", marked by an " + p.Marker
	}
	switch p.Wording {
	case 0:
		return fmt.Sprintf("%s %s of the %s shows %s %s %s on the %s, measuring %d mm%s.", plane, noun, p.Anatomy, article, density, p.Finding, p.Side, p.MM, paren)
	case 1:
		return fmt.Sprintf("%s %s of the %s: %s-sided %s %s of %d mm%s.", plane, noun, p.Anatomy, p.Side, density, p.Finding, p.MM, clause)
	default:
		return fmt.Sprintf("%s %s of the %s demonstrating %s %s %s in the %s half%s, diameter %d mm.", plane, noun, p.Anatomy, article, density, p.Finding, p.Side, paren, p.MM)
	}
}

// plain says the same in everyday words: what the embedded checkpoint is pretrained on.
func (p phantomSpec) plain() string {
	modality, anatomy, plane := plainModality[p.Modality], plainAnatomy[p.Anatomy], plainPlane[p.Plane]
	finding, size, marker := plainFinding[p.Finding], plainSize[p.MM], plainMarker[p.Marker]
	switch p.Wording {
	case 0:
		return fmt.Sprintf("The %s shows a %s %s. There is a %s %s on the %s side, and %s.", modality, anatomy, plane, size, finding, p.Side, marker)
	case 1:
		return fmt.Sprintf("This is %s %s of a %s %s. On the %s lies a %s %s; %s.", indefinite(modality), modality, anatomy, plane, p.Side, size, finding, marker)
	default:
		return fmt.Sprintf("Here is %s %s of a %s, %s. The %s half has a %s %s; %s.", indefinite(modality), modality, anatomy, plane, p.Side, size, finding, marker)
	}
}

// glossary is a line of text without a picture that explains one radiology word in everyday words.
// It gives a small model the words before it ever sees them beside a picture.
func glossary(i int) (question, answer string) {
	type entry struct{ word, means string }
	var all []entry
	for _, m := range phantomModalities {
		all = append(all, entry{modalityNoun[m], indefinite(plainModality[m]) + " " + plainModality[m]},
			entry{phantomBright[m], "bright on the " + plainModality[m]}, entry{phantomDark[m], "dark on the " + plainModality[m]})
	}
	for _, f := range phantomFindings {
		all = append(all, entry{f, "a " + plainFinding[f]})
	}
	for _, mm := range phantomMM {
		all = append(all, entry{fmt.Sprintf("%d mm", mm), plainSize[mm]})
	}
	for _, a := range []string{"brain", "chest", "abdomen", "pelvis", "knee", "liver", "kidney", "thyroid"} {
		all = append(all, entry{a, "the inside of a " + plainAnatomy[a]})
	}
	for _, p := range []string{"axial", "coronal", "frontal", "transverse", "longitudinal"} {
		all = append(all, entry{p, plainPlane[p]})
	}
	for _, m := range phantomMarkers[1:] {
		all = append(all, entry{m, plainMarker[m]})
	}
	e := all[i/2%len(all)]
	if i%2 == 0 {
		return fmt.Sprintf("What does %s mean?", e.word), fmt.Sprintf("In a report, %s means %s.", e.word, e.means)
	}
	return fmt.Sprintf("How does a report say %s?", e.means), fmt.Sprintf("A report says %s.", e.word)
}
