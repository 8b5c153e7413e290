package jinja

import "strconv"

// maxDepth bounds how deep expressions, blocks and macro calls nest.
const maxDepth = 200

// tuple reads an expression, or several with commas between.
func (p *parser) tuple() expr { return p.tupleOf(p.expression) }

func (p *parser) tupleOf(item func() expr) expr {
	at := pos(p.peek().pos)
	x := item()
	if !p.is(",") {
		return x
	}
	items := []expr{x}
	for p.accept(",") {
		if k := p.peek().kind; k == endBlock || k == endPrint || p.is(")") || p.is("=") {
			break
		}
		items = append(items, item())
	}
	return listExpr{at, items, true}
}

func (p *parser) expression() expr {
	if p.depth++; p.depth > maxDepth {
		p.fail(p.peek().pos, "expression nested too deeply")
	}
	defer func() { p.depth-- }()
	x := p.orExpr()
	for p.is("if") {
		at := pos(p.take().pos)
		c := conditional{pos: at, test: p.orExpr(), yes: x}
		if p.accept("else") {
			c.no = p.expression()
		}
		x = c
	}
	return x
}

// leftward reads x op x op x …, grouping to the left.
func (p *parser) leftward(next func() expr, ops ...string) expr {
	x := next()
again:
	for _, op := range ops {
		if p.is(op) {
			at := pos(p.take().pos)
			x = binary{at, op, x, next()}
			goto again
		}
	}
	return x
}

func (p *parser) orExpr() expr  { return p.leftward(p.andExpr, "or") }
func (p *parser) andExpr() expr { return p.leftward(p.notExpr, "and") }

func (p *parser) notExpr() expr {
	var nots []token
	for p.is("not") {
		nots = append(nots, p.take())
	}
	x := p.comparison()
	for i := len(nots) - 1; i >= 0; i-- {
		x = unary{pos(nots[i].pos), "not", x}
	}
	return x
}

func (p *parser) comparison() expr {
	c := compare{pos: pos(p.peek().pos), x: p.sum()}
again:
	for _, op := range []string{"==", "!=", "<=", ">=", "<", ">", "in"} {
		if p.accept(op) {
			c.ops, c.ys = append(c.ops, op), append(c.ys, p.sum())
			goto again
		}
	}
	if p.is("not") && p.tokens[p.i+1].kind == name && p.tokens[p.i+1].text == "in" {
		p.i += 2
		c.ops, c.ys = append(c.ops, "not in"), append(c.ys, p.sum())
		goto again
	}
	if len(c.ops) == 0 {
		return c.x
	}
	return c
}

func (p *parser) sum() expr     { return p.leftward(p.concat, "+", "-") }
func (p *parser) concat() expr  { return p.leftward(p.product, "~") }
func (p *parser) product() expr { return p.leftward(p.power, "*", "//", "/", "%") }

// power groups to the left, and a sign binds tighter: both as in Jinja, unlike Python.
func (p *parser) power() expr { return p.leftward(p.filtered, "**") }

func (p *parser) filtered() expr { return p.postfilter(p.sign()) }

func (p *parser) sign() expr {
	var signs []token
	for p.is("-") || p.is("+") {
		signs = append(signs, p.take())
	}
	x := p.postfix(p.primary())
	for i := len(signs) - 1; i >= 0; i-- {
		x = unary{pos(signs[i].pos), signs[i].text, x}
	}
	return x
}

func (p *parser) primary() expr {
	t := p.take()
	at := pos(t.pos)
	switch t.kind {
	case name:
		switch t.text {
		case "true", "True":
			return literal{at, true}
		case "false", "False":
			return literal{at, false}
		case "none", "None":
			return literal{at, nil}
		case "in", "is", "and", "or", "if", "else", "not":
			p.fail(t.pos, "expected an expression, got %q", t.text)
		}
		return variable{at, t.text}
	case str:
		s := t.text
		for p.peek().kind == str { // neighbours join
			s += p.take().text
		}
		return literal{at, s}
	case integer:
		n, err := strconv.ParseInt(t.text, 0, 64)
		if err != nil {
			if n, err = strconv.ParseInt(t.text, 10, 64); err != nil {
				p.fail(t.pos, "number %s is out of range", t.text)
			}
		}
		return literal{at, n}
	case float:
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			p.fail(t.pos, "number %s is out of range", t.text)
		}
		return literal{at, f}
	case operator:
		switch t.text {
		case "(":
			if p.accept(")") {
				return listExpr{at, nil, true}
			}
			x := p.tuple()
			p.expect(")")
			return x
		case "[":
			return listExpr{at, p.items("]"), false}
		case "{":
			return p.dict(at)
		}
	}
	p.fail(t.pos, "expected an expression, got %s", t)
	return nil
}

func (p *parser) items(end string) []expr {
	var items []expr
	for !p.accept(end) {
		items = append(items, p.expression())
		if !p.is(end) {
			p.expect(",")
		}
	}
	return items
}

func (p *parser) dict(at pos) expr {
	d := dictExpr{pos: at}
	for !p.accept("}") {
		d.keys = append(d.keys, p.expression())
		p.expect(":")
		d.values = append(d.values, p.expression())
		if !p.is("}") {
			p.expect(",")
		}
	}
	return d
}

// postfix reads attributes, indices and calls behind x.
func (p *parser) postfix(x expr) expr {
	for {
		at := pos(p.peek().pos)
		switch {
		case p.accept("."):
			t := p.take()
			switch t.kind {
			case name:
				x = attribute{at, x, t.text}
			case integer:
				n, _ := strconv.ParseInt(t.text, 10, 64) // the lexer saw digits
				x = index{at, x, literal{pos(t.pos), n}}
			default:
				p.fail(t.pos, "expected a name, got %s", t)
			}
		case p.accept("["):
			x = p.subscript(at, x)
		case p.is("("):
			x = call{at, x, p.arguments()}
		default:
			return x
		}
	}
}

func (p *parser) subscript(at pos, x expr) expr {
	var parts [3]expr
	n := 0
	for !p.accept("]") {
		switch {
		case p.accept(":"):
			if n++; n > 2 {
				p.fail(int(at), "too many colons in a slice")
			}
		default:
			parts[n] = p.tuple()
			if !p.is("]") && !p.is(":") {
				p.fail(p.peek().pos, "expected \"]\", got %s", p.peek())
			}
		}
	}
	if n == 0 {
		if parts[0] == nil {
			p.fail(int(at), "expected a subscript expression")
		}
		return index{at, x, parts[0]}
	}
	return slice{at, x, parts[0], parts[1], parts[2]}
}

func (p *parser) arguments() (a arguments) {
	p.expect("(")
	for !p.accept(")") {
		if t := p.peek(); t.kind == operator && (t.text == "*" || t.text == "**") {
			p.fail(t.pos, "%s arguments are not supported", t.text)
		}
		if next := p.tokens[p.i+1]; p.peek().kind == name && next.kind == operator && next.text == "=" {
			a.names = append(a.names, p.take().text)
			p.i++
			a.named = append(a.named, p.expression())
		} else {
			if len(a.names) > 0 {
				p.fail(p.peek().pos, "a positional argument follows a named one")
			}
			a.args = append(a.args, p.expression())
		}
		if !p.is(")") {
			p.expect(",")
		}
	}
	return a
}

// postfilter reads filters and tests behind x.
func (p *parser) postfilter(x expr) expr {
	for {
		switch {
		case p.is("|"):
			x = p.filters(x)
		case p.is("is"):
			x = p.test(x)
		case p.is("("):
			x = call{pos(p.peek().pos), x, p.arguments()}
		default:
			return x
		}
	}
}

// filters reads "| name | name(args)"; in a filter block (x nil) the first bar is left out.
func (p *parser) filters(x expr) expr {
	first := x == nil
	for first && !p.is("|") || p.accept("|") {
		first = false
		t := p.expectName()
		if !knownFilter(t.text) {
			p.fail(t.pos, "filter %q is not supported%s", t.text, hint(t.text, filterNames()))
		}
		f := filter{pos: pos(t.pos), x: x, name: t.text}
		if p.is("(") {
			f.arguments = p.arguments()
		}
		x = f
	}
	return x
}

func (p *parser) test(x expr) expr {
	at := pos(p.take().pos)
	t := test{pos: at, x: x, not: p.accept("not")}
	word := p.expectName()
	t.name = word.text
	if !knownTest(t.name) {
		p.fail(word.pos, "test %q is not supported%s", t.name, hint(t.name, testNames()))
	}
	next := p.peek()
	switch {
	case p.is("("):
		t.arguments = p.arguments()
	case next.kind == str || next.kind == integer || next.kind == float || p.is("[") || p.is("{"),
		next.kind == name && !(p.is("else") || p.is("or") || p.is("and") || p.is("is") || p.is("in") || p.is("if") || p.is("not")):
		t.args = []expr{p.postfix(p.primary())}
	}
	return t
}
