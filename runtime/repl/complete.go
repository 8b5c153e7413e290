package repl

import (
	"go/types"
	"regexp"
	"sort"
	"strings"

	"lightbox/runtime/recipe"
)

// candidate is one completion. text replaces the word before the cursor.
type candidate struct {
	text    string
	display string // what the menu shows
	about   string
}

var (
	wordAt     = regexp.MustCompile(`[\pL_][\pL\pN_]*$`)
	fieldsOpen = regexp.MustCompile(`([\pL_][\pL\pN_]*(?:\.[\pL_][\pL\pN_]*)?)\{([^{}]*)$`)
)

// candidates are the names that could stand at the cursor, and the text before
// it that they replace.
func (r *repl) candidates(line string, cursor int) (found []candidate, replaced string) {
	before := line[:cursor]
	trimmed := strings.TrimLeft(before, " ")
	if strings.HasPrefix(trimmed, ":") && !strings.Contains(trimmed, " ") {
		return matching(commandNames(), "", trimmed), trimmed
	}
	if strings.HasPrefix(trimmed, ":") {
		_, before, _ = strings.Cut(trimmed, " ")
	}
	word := wordAt.FindString(before)
	head := before[:len(before)-len(word)]
	if strings.HasSuffix(head, ".") {
		x := operand(head[:len(head)-1])
		return matching(r.members(x), x+".", word), x + "." + word
	}
	if m := fieldsOpen.FindStringSubmatch(head); m != nil && !strings.HasSuffix(strings.TrimSpace(head), ":") {
		if fields := r.fields(m[1]); len(fields) > 0 {
			return matching(fields, "", word), word
		}
	}
	return matching(r.names(), "", word), word
}

// matching keeps what begins with the word, whatever its case. The text
// carries the operand too, as the shell wants.
func matching(all []candidate, operand, word string) []candidate {
	var out []candidate
	for _, c := range all {
		if len(c.text) >= len(word) && strings.EqualFold(c.text[:len(word)], word) {
			if c.display == "" {
				c.display = c.text
			}
			c.text = operand + c.text
			out = append(out, c)
		}
	}
	return out
}

// names are the vars, funcs and types of the recipe and the importable packages.
func (r *repl) names() []candidate {
	var out []candidate
	pkg := r.s.Recipe.Package()
	for _, n := range pkg.Scope().Names() {
		if strings.HasPrefix(n, "_") {
			continue
		}
		about := r.typeText(pkg.Scope().Lookup(n).Type())
		out = append(out, candidate{text: n, about: about})
	}
	for _, p := range r.universe.Paths() {
		name := p[strings.LastIndexByte(p, '/')+1:]
		out = append(out, candidate{text: name, about: "package " + p})
	}
	sort.SliceStable(out, func(a, b int) bool { return out[a].text < out[b].text })
	return out
}

// members are those of a package, of a var, or of the value of an expression.
func (r *repl) members(x string) []candidate {
	if p := r.packagePath(x); p != "" {
		pkg, err := r.universe.Import(p)
		if err != nil {
			return nil
		}
		var out []candidate
		for _, n := range recipe.Members(r.universe, pkg) {
			out = append(out, candidate{text: n, about: firstSentence(r.universe.Doc(p, n))})
		}
		return out
	}
	t := r.typeOf(x)
	if t == nil {
		return nil
	}
	path, name := named(t)
	var out []candidate
	for _, n := range recipe.MembersOf(r.universe, t) {
		out = append(out, candidate{text: n, about: firstSentence(r.universe.Doc(path, name+"."+n))})
	}
	return out
}

// fields are the field names of a struct type, for composite literals.
func (r *repl) fields(typeName string) []candidate {
	o := r.object(typeName)
	if o == nil {
		return nil
	}
	st, ok := o.Type().Underlying().(*types.Struct)
	if _, isType := o.(*types.TypeName); !ok || !isType {
		return nil
	}
	path, name := named(o.Type())
	var out []candidate
	for i := range st.NumFields() {
		if f := st.Field(i); f.Exported() || f.Pkg() == r.s.Recipe.Package() {
			out = append(out, candidate{text: f.Name() + ": ", display: f.Name(), about: r.typeText(f.Type()) + " " + firstSentence(r.universe.Doc(path, name+"."+f.Name()))})
		}
	}
	return out
}

// operand is the expression that ends a text: names, dots and balanced
// brackets, as in set.Split("test").
func operand(text string) string {
	i := len(text)
	depth := 0
	for i > 0 {
		c := text[i-1]
		switch {
		case c == ')' || c == ']':
			depth++
		case c == '(' || c == '[':
			if depth == 0 {
				return text[i:]
			}
			depth--
		case depth > 0 || c == '.' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80:
		default:
			return text[i:]
		}
		i--
	}
	return text
}

// firstSentence is the summary of a doc comment on one line.
func firstSentence(doc string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	if i := strings.Index(doc, ". "); i >= 0 {
		doc = doc[:i]
	}
	const limit = 100
	if r := []rune(doc); len(r) > limit {
		doc = string(r[:limit]) + "…"
	}
	return strings.TrimSuffix(doc, ".")
}
