package jinja

import (
	"slices"
	"strconv"
	"strings"

	nearest "lightbox/stdlib/text"
)

// Template is a parsed template. It never changes: any number of goroutines may render it.
type Template struct {
	src  source
	body []stmt
}

// Parse reads a template. Its errors are *Error.
func Parse(src string) (t *Template, err error) {
	tokens, s, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens, src: s}
	defer caught(&err)
	body, _ := p.block("template")
	return &Template{s, body}, nil
}

type parser struct {
	tokens []token
	i      int
	src    source
	loops  int // for blocks that are open
	depth  int // expressions that are open
}

func (p *parser) peek() token { return p.tokens[p.i] }

func (p *parser) take() token {
	t := p.tokens[p.i]
	if t.kind != eof {
		p.i++
	}
	return t
}

func (p *parser) fail(at int, format string, args ...any) { panic(p.src.errorf(at, format, args...)) }

// is says whether the next token is the operator or the word s; accept takes it then.
func (p *parser) is(s string) bool {
	t := p.peek()
	return (t.kind == operator || t.kind == name) && t.text == s
}

func (p *parser) accept(s string) bool {
	if p.is(s) {
		p.i++
		return true
	}
	return false
}

func (p *parser) expect(s string) token {
	if !p.is(s) {
		p.fail(p.peek().pos, "expected %q, got %s", s, p.peek())
	}
	return p.take()
}

func (p *parser) expectName() token {
	t := p.take()
	if t.kind != name {
		p.fail(t.pos, "expected a name, got %s", t)
	}
	return t
}

func (p *parser) endOfBlock() {
	if t := p.take(); t.kind != endBlock {
		p.fail(t.pos, "expected end of block, got %s", t)
	}
}

// block reads statements up to a tag named in ends, whose name it has taken, or the end of the template if
// there are none.
func (p *parser) block(of string, ends ...string) (body []stmt, end token) {
	for {
		t := p.take()
		switch t.kind {
		case data:
			body = append(body, text{pos(t.pos), t.text})
		case beginPrint:
			x := p.tuple()
			if e := p.take(); e.kind != endPrint {
				p.fail(e.pos, "expected end of print statement, got %s", e)
			}
			body = append(body, print{pos(t.pos), x})
		case beginBlock:
			word := p.expectName()
			if slices.Contains(ends, word.text) {
				return body, word
			}
			if s := p.statement(word, of, ends); s != nil {
				body = append(body, s)
			}
		default:
			if len(ends) > 0 {
				p.fail(t.pos, "the %s block is not closed: missing %q", of, ends[len(ends)-1])
			}
			return body, t
		}
	}
}

var statements = []string{"if", "for", "set", "macro", "generation", "with", "filter", "raw", "break", "continue"}

func (p *parser) statement(word token, of string, ends []string) stmt {
	if p.depth++; p.depth > maxDepth {
		p.fail(word.pos, "blocks nested too deeply")
	}
	defer func() { p.depth-- }()
	at := pos(word.pos)
	switch word.text {
	case "if":
		return p.ifStmt(at)
	case "for":
		return p.forStmt(at)
	case "set":
		return p.setStmt(at)
	case "macro":
		return p.macroStmt(at)
	case "generation":
		p.endOfBlock()
		body, _ := p.block("generation", "endgeneration")
		p.endOfBlock()
		return scopeStmt{pos: at, body: body}
	case "with":
		return p.withStmt(at)
	case "filter":
		f := p.filters(nil)
		p.endOfBlock()
		body, _ := p.block("filter", "endfilter")
		p.endOfBlock()
		return scopeStmt{pos: at, filter: f, body: body}
	case "break", "continue":
		if p.loops == 0 {
			p.fail(word.pos, "%s outside of a loop", word.text)
		}
		p.endOfBlock()
		return jump{at, word.text}
	case "include", "import", "from", "extends", "block", "call", "do", "autoescape", "trans":
		p.fail(word.pos, "the %s statement is not supported", word.text)
	}
	if strings.HasPrefix(word.text, "end") || word.text == "else" || word.text == "elif" {
		if len(ends) > 0 {
			p.fail(word.pos, "unexpected tag %q: the innermost block is %s, which wants %q", word.text, of, ends[len(ends)-1])
		}
		p.fail(word.pos, "unexpected tag %q: no block is open", word.text)
	}
	p.fail(word.pos, "unknown tag %q%s", word.text, hint(word.text, statements))
	return nil
}

func hint(got string, among []string) string {
	if near, ok := nearest.Nearest(got, among); ok {
		return "; did you mean " + strconv.Quote(near) + "?"
	}
	return ""
}

func (p *parser) ifStmt(at pos) stmt {
	s := ifStmt{pos: at}
	for {
		s.tests = append(s.tests, p.tuple())
		p.endOfBlock()
		body, end := p.block("if", "elif", "else", "endif")
		s.then = append(s.then, body)
		if end.text == "elif" {
			continue
		}
		if end.text == "else" {
			p.endOfBlock()
			s.other, _ = p.block("if", "endif")
		}
		p.endOfBlock()
		return s
	}
}

func (p *parser) targets() []string {
	paren := p.accept("(")
	names := []string{p.expectName().text}
	for p.accept(",") {
		if p.peek().kind != name || p.is("in") {
			break
		}
		names = append(names, p.expectName().text)
	}
	if paren {
		p.expect(")")
	}
	return names
}

func (p *parser) forStmt(at pos) stmt {
	s := forStmt{pos: at, targets: p.targets()}
	p.expect("in")
	s.in = p.tupleOf(p.orExpr)
	if p.accept("if") {
		s.filter = p.expression()
	}
	if p.is("recursive") {
		p.fail(p.peek().pos, "recursive loops are not supported")
	}
	p.endOfBlock()
	p.loops++
	body, end := p.block("for", "else", "endfor")
	p.loops--
	s.body = body
	if end.text == "else" {
		p.endOfBlock()
		s.other, _ = p.block("for", "endfor")
	}
	p.endOfBlock()
	return s
}

func (p *parser) setStmt(at pos) stmt {
	s := setStmt{pos: at, targets: p.targets()}
	if len(s.targets) == 1 && p.accept(".") {
		s.attr = p.expectName().text
	}
	if p.accept("=") {
		s.value = p.tuple()
		p.endOfBlock()
		return s
	}
	if p.is("|") {
		s.filter = p.filters(nil)
	}
	p.endOfBlock()
	s.body, _ = p.block("set", "endset")
	p.endOfBlock()
	return s
}

func (p *parser) macroStmt(at pos) stmt {
	s := macroStmt{pos: at, name: p.expectName().text}
	p.expect("(")
	for !p.accept(")") {
		s.params = append(s.params, p.expectName().text)
		var d expr
		if p.accept("=") {
			d = p.expression()
		}
		s.defaults = append(s.defaults, d)
		if !p.is(")") {
			p.expect(",")
		}
	}
	p.endOfBlock()
	loops := p.loops
	p.loops = 0
	s.body, _ = p.block("macro", "endmacro")
	p.loops = loops
	p.endOfBlock()
	return s
}

func (p *parser) withStmt(at pos) stmt {
	s := scopeStmt{pos: at}
	for p.peek().kind != endBlock {
		s.targets = append(s.targets, p.expectName().text)
		p.expect("=")
		s.values = append(s.values, p.expression())
		if !p.accept(",") {
			break
		}
	}
	p.endOfBlock()
	s.body, _ = p.block("with", "endwith")
	p.endOfBlock()
	return s
}
