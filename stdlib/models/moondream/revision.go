package moondream

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/safetensors"
)

// Form is how a revision reads an image.
type Form int

// The forms of MoonDream2's published revisions.
const (
	Single  Form = iota // one view of the whole image
	Tiles               // the whole image, and up to 2 x 2 tiles of it enlarged
	Overlap             // the whole image, and up to 12 overlapping crops
)

// revisions are the published ones that are supported, by the names of their tags.
var revisions = map[string]Form{
	"2024-04-02": Single, "2024-05-08": Single,
	"2024-05-20": Tiles, "2024-07-23": Tiles, "2024-08-26": Tiles,
	"2025-01-09": Overlap, "2025-03-27": Overlap, "2025-04-14": Overlap, "2025-06-21": Overlap,
}

// Architecture names in config.json's "architectures".
const (
	Architecture2024 = "Moondream"
	Architecture2025 = "HfMoondream"
)

// projection is a tensor whose shape tells 2024's forms apart, by its name in 2024.
const projection = "vision_encoder.projection.mlp.fc1.weight"

// starmie tells whether a revision has the tokenizer moondream/starmie-v1 and the templates for it.
func starmie(revision string) bool { return revision == "2025-06-21" }

// pin sets the revision that is asked for under a name, or says what speaks against it. where says who asks.
func (c *Config) pin(name, where string) error {
	form, ok := revisions[name]
	switch {
	case !ok && strings.HasPrefix(name, "2024-03"):
		return fmt.Errorf("%s is %q: the revisions of March 2024 are not supported (they end an answer with the text <END>, wrap the image in <image></image> and have another GELU)", where, name)
	case !ok:
		return fmt.Errorf("%s is %q; known revisions: %s", where, name, strings.Join(slices.Sorted(maps.Keys(revisions)), ", "))
	case (form == Overlap) != (c.Form == Overlap):
		return fmt.Errorf("%s is %q; config.json is that of %s", where, name, c.Revision)
	case form == Tiles && c.Form == Single && c.raw["phi_config"] != nil:
		return fmt.Errorf("%s is %q; config.json has phi_config, the key of 2024-04-02", where, name)
	}
	c.Revision, c.Form = name, form
	return nil
}

// pinned lists the dates among the names that a Hugging Face cache has for the snapshot in dir: what "org/name@date" found.
func pinned(dir string) []string {
	parent, commit := filepath.Split(filepath.Clean(dir))
	if filepath.Base(parent) != "snapshots" {
		return nil
	}
	refs := filepath.Join(filepath.Dir(filepath.Clean(parent)), "refs")
	list, err := os.ReadDir(refs)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range list {
		raw, err := os.ReadFile(filepath.Join(refs, e.Name()))
		if err == nil && string(bytes.TrimSpace(raw)) == commit && strings.HasPrefix(e.Name(), "202") {
			out = append(out, e.Name())
		}
	}
	return out
}

// settle decides the revision of a checkpoint directory: what the cache's refs and config.json name, what the weights
// show where no one names it, and for 2025 which tokenizer lies beside them. What contradicts each other is an error.
func (c *Config) settle(f *checkpoint.Files, a *safetensors.Archive) error {
	named := c.raw["revision"] != nil
	for _, name := range pinned(f.Dir) {
		if err := c.pin(name, "the revision in the Hugging Face cache"); err != nil {
			return err
		}
		named = true
	}
	if c.Form == Overlap {
		return c.settleTokens(f, named)
	}
	if a == nil {
		return nil
	}
	for _, s := range a.Names() {
		switch name := canonical2024(s); {
		case strings.HasPrefix(name, "model.text.") || strings.HasPrefix(name, "text.blocks."):
			return fmt.Errorf("config.json is that of %s; tensor %q is one of 2025: the class is %s, not %s", c.Revision, s, Architecture2025, Architecture2024)
		case name == projection:
			if err := c.settleForm(s, a, named); err != nil {
				return err
			}
		}
	}
	return nil
}

// settleForm holds the projector's input against the form, or takes the form from it where only config.json's default
// speaks: 2024-05-08 has text_config, as the revisions with tiles have.
func (c *Config) settleForm(stored string, a *safetensors.Archive, named bool) error {
	info, _ := a.Info(stored)
	if len(info.Shape) != 2 {
		return nil // reported with all mis-shaped tensors
	}
	for _, r := range []struct {
		form     Form
		revision string
	}{{Single, "2024-05-08"}, {Tiles, "2024-08-26"}} {
		if info.Shape[1] != c.Vision.features(r.form) || r.form == c.Form {
			continue
		}
		if named || c.raw["phi_config"] != nil {
			return fmt.Errorf("the revision is %s; tensor %q has shape %v, that of %s", c.Revision, stored, info.Shape, r.revision)
		}
		c.Form, c.Revision = r.form, r.revision
		return nil
	}
	return nil
}

// settleTokens holds 2025's template tokens against the tokenizer: <|endoftext|> is 0 in moondream/starmie-v1 and 50256 in
// the tokenizer before it.
func (c *Config) settleTokens(f *checkpoint.Files, named bool) error {
	if c.given {
		if starmie(c.Revision) != (c.Tokens.BOS == 0) {
			return fmt.Errorf("the revision is %s; config.json's tokenizer.bos_id is %d, of another one", c.Revision, c.Tokens.BOS)
		}
		return nil
	}
	id, ok := f.Tok.ID("<|endoftext|>")
	if !ok {
		return fmt.Errorf("%s: no token <|endoftext|>, which begins and ends MoonDream2's texts", f.Tok.Path())
	}
	if !named && id != 0 {
		c.Revision = "2025-04-14"
	}
	// The code beside the weights says which tokenizer it fetches, which need not be the one beside the weights.
	code, err := checkpoint.ReadOptional(filepath.Join(f.Dir, "moondream.py"))
	if err != nil {
		return err
	}
	fetches := bytes.Contains(code, []byte("moondream/starmie-v1"))
	if starmie(c.Revision) || fetches {
		if id != 0 {
			return fmt.Errorf("%s: <|endoftext|> is %d; revision 2025-06-21 has the tokenizer of moondream/starmie-v1, where it is 0: put its tokenizer.json into %s", f.Tok.Path(), id, f.Dir)
		}
	} else if id == 0 {
		return fmt.Errorf("%s: <|endoftext|> is 0, as in moondream/starmie-v1; revision %s has the tokenizer of 2024", f.Tok.Path(), c.Revision)
	}
	c.Tokens = tokensOf(c.Revision)
	return nil
}
