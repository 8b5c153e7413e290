// Package allow is the one list of what recipes may import. The generator and
// runtime/symbols read it; nothing else needs to. A package of this module
// that does not exist in the tree yet is passed over by the generator.
//
// What is not here cannot be imported by a recipe: no files, no network, no
// processes, no clock, no random numbers. Verbs do those, under the executor.
package allow

// Package is one importable package.
type Package struct {
	Path string
	// Only, when set, names the exported members that recipes see.
	Only []string
	// Except names exported members that recipes do not see.
	Except []string
	// Why completes "… is not available to recipes; ": what to do instead.
	Why string
}

// inside is Why of what a verb's package exports to other packages of stdlib.
const inside = "it is for verbs at work, and a recipe only builds the plan"

// Packages are sorted by path, the standard library first.
var Packages = []Package{
	{Path: "errors"},
	{Path: "fmt", Except: []string{"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
		Why: "bind the text to an exported var, which is displayed"},
	{Path: "math"},
	{Path: "regexp"},
	{Path: "sort"},
	{Path: "strconv"},
	{Path: "strings", Except: []string{"Title"}, Why: "it is deprecated: write strings.ToUpper(s[:1]) + s[1:]"},
	{Path: "time", Only: []string{"Duration", "Hour", "Microsecond", "Millisecond", "Minute", "Nanosecond", "ParseDuration", "Second"},
		Why: "a recipe has no clock: of time it has Duration and its constants"},
	{Path: "unicode"},

	{Path: "lightbox/stdlib/data", Except: []string{"Count", "Film", "HintFile", "Meta", "Open", "OpenImage", "Reader", "Total"}, Why: inside},
	{Path: "lightbox/stdlib/frame", Except: []string{"CaptionColumns", "Compile", "Expr", "Extend", "ExtendWith", "ImageLoader", "Near", "New", "NewRows", "Read", "Rows", "StackRows", "Unknown"}, Why: inside},
	{Path: "lightbox/stdlib/generate"},
	{Path: "lightbox/stdlib/inspect"},
	{Path: "lightbox/stdlib/lora", Except: []string{"Adapter", "Apply", "Attach", "ErrWhole", "Member", "Members", "Open", "OpenTogether", "Plan", "Read", "Resolve", "Target", "Whole"}, Why: inside},
	{Path: "lightbox/stdlib/modality", Except: []string{"ReadConfusion"}, Why: inside},
	{Path: "lightbox/stdlib/models", Except: []string{"Dir", "FamilyIn", "Name", "Open"}, Why: inside},
	{Path: "lightbox/stdlib/models/model", Only: []string{"Connector", "Language", "System", "Systems", "Tower", "Vision"}, Why: inside},
	{Path: "lightbox/stdlib/paper", Except: []string{"Data", "Digest", "Named", "Number", "Row"}, Why: inside},
	{Path: "lightbox/stdlib/param"},
	{Path: "lightbox/stdlib/plot"},
	{Path: "lightbox/stdlib/score"},
	{Path: "lightbox/stdlib/stats"},
	{Path: "lightbox/stdlib/table", Except: []string{"Data", "Line", "ReadData"}, Why: inside},
	{Path: "lightbox/stdlib/text"},
	{Path: "lightbox/stdlib/train", Except: []string{"CheckConfig", "Classifier", "Classify", "ClassifyCost"}, Why: inside},
}

// Of is the entry of a path.
func Of(path string) (Package, bool) {
	for _, p := range Packages {
		if p.Path == path {
			return p, true
		}
	}
	return Package{}, false
}

// Has reports whether recipes see the package's exported member.
func (p Package) Has(name string) bool {
	for _, n := range p.Except {
		if n == name {
			return false
		}
	}
	if p.Only == nil {
		return true
	}
	for _, n := range p.Only {
		if n == name {
			return true
		}
	}
	return false
}
