package jinja

// expr is an expression; at is its byte offset in the source.
type expr interface{ at() int }

type pos int

func (p pos) at() int { return int(p) }

type (
	literal struct {
		pos
		value any
	}
	variable struct {
		pos
		name string
	}
	listExpr struct {
		pos
		items []expr
		tuple bool
	}
	dictExpr struct {
		pos
		keys, values []expr
	}
	unary struct {
		pos
		op string
		x  expr
	}
	binary struct {
		pos
		op   string
		x, y expr
	}
	compare struct {
		pos
		x   expr
		ops []string
		ys  []expr
	}
	conditional struct {
		pos
		test, yes, no expr // no may be nil
	}
	attribute struct {
		pos
		x    expr
		name string
	}
	index struct {
		pos
		x, key expr
	}
	slice struct {
		pos
		x            expr
		lo, hi, step expr // nil where left out
	}
	call struct {
		pos
		f expr
		arguments
	}
	filter struct {
		pos
		x    expr // nil in a filter block
		name string
		arguments
	}
	test struct {
		pos
		x    expr
		name string
		not  bool
		arguments
	}
)

type arguments struct {
	args  []expr
	names []string // of keyword arguments
	named []expr
}

// stmt is a statement.
type stmt interface{ at() int }

type (
	text struct {
		pos
		s string
	}
	print struct {
		pos
		x expr
	}
	ifStmt struct {
		pos
		tests []expr
		then  [][]stmt
		other []stmt
	}
	forStmt struct {
		pos
		targets    []string
		in, filter expr // filter may be nil
		body       []stmt
		other      []stmt
	}
	setStmt struct {
		pos
		targets []string
		attr    string // of a namespace, with one target
		value   expr   // nil for a block
		body    []stmt
		filter  expr
	}
	macroStmt struct {
		pos
		name     string
		params   []string
		defaults []expr // nil where there is none
		body     []stmt
	}
	scopeStmt struct { // generation, with, filter
		pos
		targets []string
		values  []expr
		filter  expr // nil for none
		body    []stmt
	}
	jump struct {
		pos
		kind string // "break" or "continue"
	}
)
