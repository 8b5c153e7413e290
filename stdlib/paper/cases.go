package paper

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"sync"

	"gopkg.in/yaml.v3"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
)

//go:embed cases.yaml
var casesYAML []byte

// rawCase is one test image of the paper with its captions.
type rawCase struct {
	ID, Modality, Reference string
	Captions                []struct{ System, Group, Caption string }
}

// publishedCases reads the embedded captions. That they parse is tested.
var publishedCases = sync.OnceValue(func() []rawCase {
	var out []rawCase
	if err := yaml.Unmarshal(casesYAML, &out); err != nil {
		panic(fmt.Sprintf("paper: cases.yaml: %v", err))
	}
	return out
})

type casesParams struct{ Digest string }

var casesOp = &step.Op{Name: "paper.Cases", Version: "1", Run: func(_ *step.Context, dir string) error {
	rows := frame.NewRows(frame.CaptionColumns("system", "group"))
	for _, c := range publishedCases() {
		for _, x := range c.Captions {
			i := rows.Add()
			rows.SetString(i, "system", x.System)
			rows.SetString(i, "group", x.Group)
			rows.SetString(i, frame.ID, c.ID)
			rows.SetString(i, frame.Reference, c.Reference)
			rows.SetString(i, frame.Caption, x.Caption)
			rows.SetString(i, frame.Modality, c.Modality)
		}
	}
	return rows.Write(dir)
}}

// Cases are the captions that the paper publishes of two test images: id "Table 6", the chest X-ray of Figure 10, and
// "Table 7", the CT of Figure 11. The rows have the labels system and group and the columns of captions; the image is empty,
// since the paper does not name its file.
//
//	score.Components(paper.Cases().At("Table 6"))
func Cases() frame.Frame {
	sum := sha256.Sum256(casesYAML)
	return frame.New(step.New(casesOp, casesParams{hex.EncodeToString(sum[:8])}), frame.CaptionColumns("system", "group"))
}
