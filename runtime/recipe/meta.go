package recipe

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"lightbox/stdlib/text"
)

var metaKeys = []string{"title", "seed", "device"}

var devicePattern = regexp.MustCompile(`^(auto|cpu|cuda(:\d+)?)$`)

// frontMatter splits the package comment into prose and the indented YAML
// block, which ends the comment's first indented run of lines.
func (c *checker) frontMatter() {
	r := c.r
	r.Meta.Title = r.Name
	if r.file.Doc == nil {
		return
	}
	var prose, block []string
	var first *ast.Comment // the block's first line
	for _, l := range r.file.Doc.List {
		body, ok := strings.CutPrefix(l.Text, "//")
		if !ok {
			c.reject(l, "write it with //", "the package comment is a /* */ comment, whose front matter is not read")
			return
		}
		indented := strings.HasPrefix(body, "\t") || strings.HasPrefix(body, "  ")
		if indented && first == nil {
			first = l
		}
		if indented {
			block = append(block, strings.TrimPrefix(strings.TrimPrefix(body, " "), "\t"))
		} else {
			prose = append(prose, strings.TrimPrefix(body, " "))
		}
	}
	r.Doc = strings.TrimSpace(strings.Join(prose, "\n"))
	if first != nil {
		c.yaml(first, strings.Join(block, "\n"))
	}
}

var yamlLine = regexp.MustCompile(`line (\d+): (.*)`)

func (c *checker) yaml(first *ast.Comment, block string) {
	at := func(line int, length int, hint, format string, a ...any) {
		p := c.r.fset.Position(first.Pos())
		p.Line += line - 1
		src := c.line(p.Line)
		p.Column = len(src) - len(strings.TrimLeft(src, "/ \t")) + 1
		p.Offset = 0
		c.errs = append(c.errs, &Error{Pos: p, Msg: "front matter: " + fmt.Sprintf(format, a...), Hint: hint, Line: src, Len: length})
	}
	dec := yaml.NewDecoder(strings.NewReader(block))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return
		}
		line, msg := 1, strings.TrimPrefix(err.Error(), "yaml: ")
		if m := yamlLine.FindStringSubmatch(msg); m != nil {
			line, _ = strconv.Atoi(m[1])
			msg = m[2]
		}
		at(line, 1, "", "%s", msg)
		return
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		at(root.Line, len(root.Value), "indented lines of the package comment are read as YAML", "want keys and values such as title: …, got %q", root.Value)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		k, v := root.Content[i], root.Content[i+1]
		if seen[k.Value] {
			at(k.Line, len(k.Value), "", "key %s is given twice", k.Value)
			continue
		}
		seen[k.Value] = true
		var err error
		switch k.Value {
		case "title":
			err = v.Decode(&c.r.Meta.Title)
		case "seed":
			err = v.Decode(&c.r.Meta.Seed)
		case "device":
			if err = v.Decode(&c.r.Meta.Device); err == nil && !devicePattern.MatchString(c.r.Meta.Device) {
				err = errors.New("")
			}
		default:
			hint := "keys are " + strings.Join(metaKeys, ", ")
			if near, ok := text.Nearest(k.Value, metaKeys); ok {
				hint = "did you mean " + near
			}
			at(k.Line, len(k.Value), hint, "unknown key %s", k.Value)
		}
		if err != nil {
			want := map[string]string{"title": "a text", "seed": "a whole number from 0", "device": "auto, cpu, cuda or cuda:N"}[k.Value]
			at(k.Line, len(k.Value), "", "%s: want %s, got %q", k.Value, want, v.Value)
		}
	}
}

// cells groups the vars by the %% comments above them.
func (c *checker) cells() {
	type mark struct {
		pos   token.Pos
		cell  Cell
		group *ast.CommentGroup
	}
	marks := []mark{{pos: token.NoPos}}
	for _, g := range c.r.file.Comments {
		if g == c.r.file.Doc || c.insideFunc(g.Pos()) {
			continue
		}
		open := false
		for _, l := range g.List {
			body, ok := strings.CutPrefix(l.Text, "//")
			if !ok {
				continue
			}
			body = strings.TrimPrefix(body, " ")
			if title, ok := strings.CutPrefix(body, "%%"); ok {
				open = true
				marks = append(marks, mark{pos: l.Pos(), group: g,
					cell: Cell{Title: strings.TrimSpace(title), Line: c.r.fset.Position(l.Pos()).Line}})
			} else if open {
				m := &marks[len(marks)-1].cell
				m.Markdown += body + "\n"
			}
		}
	}
	used := make([][]*Var, len(marks))
	for _, v := range c.r.Vars {
		i := len(marks) - 1
		for marks[i].pos > v.spec.Pos() {
			i--
		}
		used[i] = append(used[i], v)
	}
	for i, m := range marks {
		if i == 0 {
			if len(used[0]) == 0 && len(marks) > 1 {
				continue
			}
			if len(used[0]) > 0 {
				m.cell.Line = used[0][0].Pos.Line
			}
		}
		m.cell.Markdown = strings.TrimSpace(m.cell.Markdown)
		m.cell.Vars = used[i]
		for j, v := range m.cell.Vars {
			v.Cell = len(c.r.Cells)
			v.Last = j == len(m.cell.Vars)-1
		}
		c.r.Cells = append(c.r.Cells, m.cell)
		if m.group != nil && c.touches(m.group) {
			c.warnings = append(c.warnings, c.make(m.pos, len(m.group.List[0].Text),
				"put a blank line below it (lightbox check --fix does)",
				"the cell comment touches the declaration below, so gofmt will rewrite it as a doc comment"))
		}
	}
}

// touches reports whether a declaration begins on the line below the group.
func (c *checker) touches(g *ast.CommentGroup) bool {
	below := c.r.fset.Position(g.End()).Line
	return strings.TrimSpace(c.line(below+1)) != "" && !strings.HasPrefix(strings.TrimSpace(c.line(below+1)), ")")
}

func (c *checker) insideFunc(pos token.Pos) bool {
	for _, d := range c.r.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil && f.Body.Pos() < pos && pos < f.Body.End() {
			return true
		}
	}
	return false
}

// Fix returns the recipe's text with a blank line below every cell comment
// that touches its declaration, and how many lines it inserted. Text that does
// not parse is returned as it is.
func Fix(src []byte) ([]byte, int) {
	c := &checker{r: &Recipe{fset: token.NewFileSet()}, lines: strings.Split(string(src), "\n")}
	f, err := parse(c.r.fset, "", src)
	if err != nil {
		return src, 0
	}
	c.r.file = f
	after := map[int]bool{} // lines that get a blank line below
	for _, g := range f.Comments {
		if g == f.Doc || c.insideFunc(g.Pos()) || !c.touches(g) {
			continue
		}
		for _, l := range g.List {
			if strings.HasPrefix(strings.TrimLeft(strings.TrimPrefix(l.Text, "//"), " "), "%%") {
				after[c.r.fset.Position(g.End()).Line] = true
			}
		}
	}
	var b strings.Builder
	for i, l := range c.lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(l)
		if after[i+1] {
			b.WriteByte('\n')
		}
	}
	return []byte(b.String()), len(after)
}
