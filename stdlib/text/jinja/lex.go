package jinja

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error is what is wrong with a template or with rendering it, and where.
type Error struct {
	Line, Col int // from 1; columns count characters
	Msg       string
	Raised    bool // the template itself called raise_exception
}

func (e *Error) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Col, e.Msg) }

// caught turns the panic of an *Error into an error.
func caught(err *error) {
	switch r := recover().(type) {
	case nil:
	case *Error:
		*err = r
	default:
		panic(r)
	}
}

// kind of a token.
type kind uint8

const (
	data kind = iota
	beginBlock
	endBlock
	beginPrint
	endPrint
	name
	str
	integer
	float
	operator
	eof
)

type token struct {
	kind kind
	text string // of data, names and operators; the value of strings; the digits of numbers
	pos  int    // byte offset in the source
}

func (t token) String() string {
	switch t.kind {
	case eof:
		return "end of template"
	case endBlock:
		return "end of block"
	case endPrint:
		return "end of print statement"
	case str:
		return fmt.Sprintf("string %q", t.text)
	}
	return fmt.Sprintf("%q", t.text)
}

// source is a template's text with its line breaks normalised.
type source string

func (s source) errorf(pos int, format string, args ...any) *Error {
	before := string(s[:pos])
	line := 1 + strings.Count(before, "\n")
	col := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return &Error{Line: line, Col: col, Msg: fmt.Sprintf(format, args...)}
}

// lexer cuts a template into tokens. White space around tags is taken away here.
type lexer struct {
	src    source
	at     int
	tokens []token
	trim   bool // the last tag said "-": white space up to the next tag goes
	line   bool // the last tag was a block or comment: a line break right behind it goes
}

func lex(src string) (tokens []token, s source, err error) {
	src = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(src)
	src = strings.TrimSuffix(src, "\n") // keep_trailing_newline is off
	l := &lexer{src: source(src)}
	defer caught(&err)
	for l.text() {
	}
	l.add(eof, "", len(l.src))
	return l.tokens, l.src, nil
}

func (l *lexer) add(k kind, text string, pos int) { l.tokens = append(l.tokens, token{k, text, pos}) }

// text reads up to the next tag and the tag; it says no at the end.
func (l *lexer) text() bool {
	rest := string(l.src[l.at:])
	open := -1
	for i := 0; i+1 < len(rest); i++ {
		if rest[i] == '{' && (rest[i+1] == '{' || rest[i+1] == '%' || rest[i+1] == '#') {
			open = i
			break
		}
	}
	if open < 0 {
		l.data(rest, 0, false)
		l.at = len(l.src)
		return false
	}
	tag := rest[open+1]
	after := open + 2
	sign := byte(0)
	if after < len(rest) && (rest[after] == '-' || rest[after] == '+') {
		sign = rest[after]
		after++
	}
	l.data(rest[:open], sign, tag != '{')
	start := l.at + open
	l.at += after
	l.trim, l.line = false, false
	switch tag {
	case '#':
		l.comment(start)
	case '{':
		l.add(beginPrint, "{{", start)
		l.code(endPrint, "}}", start)
	default:
		if !l.raw() {
			l.add(beginBlock, "{%", start)
			l.code(endBlock, "%}", start)
		}
	}
	return true
}

// data adds text before a tag: trimmed on the left as the last tag, on the right as the next one wants.
func (l *lexer) data(text string, sign byte, block bool) {
	pos := l.at
	if l.trim {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
	} else if l.line {
		text = strings.TrimPrefix(text, "\n")
	}
	switch {
	case sign == '-':
		text = strings.TrimRightFunc(text, unicode.IsSpace)
	case block && sign != '+': // lstrip_blocks: nothing but blanks before the tag on its line
		at := strings.LastIndexByte(text, '\n') + 1
		if strings.TrimSpace(text[at:]) == "" && (at > 0 || l.atLineStart(pos)) {
			text = text[:at]
		}
	}
	if text != "" {
		l.add(data, text, pos)
	}
}

// atLineStart says whether text at pos begins a line: at the start, or behind a line break that was
// taken away with the tag before it.
func (l *lexer) atLineStart(pos int) bool {
	return pos == 0 || l.line && strings.HasPrefix(string(l.src[pos:]), "\n")
}

// closing reads the sign at the end of a tag and sets what becomes of the white space behind it.
func (l *lexer) closing(sign byte, block bool) {
	l.trim = sign == '-'
	l.line = block && sign != '+'
}

func (l *lexer) comment(start int) {
	end := strings.Index(string(l.src[l.at:]), "#}")
	if end < 0 {
		panic(l.src.errorf(start, "missing end of comment tag"))
	}
	sign := byte(0)
	if end > 0 {
		sign = l.src[l.at+end-1]
	}
	l.at += end + 2
	l.closing(sign, true)
}

// raw reads {% raw %}…{% endraw %} if it stands here.
func (l *lexer) raw() bool {
	body, sign, ok := l.bare(l.at, "raw")
	if !ok {
		return false
	}
	l.closing(sign, true)
	for i := body; ; i++ {
		k := strings.Index(string(l.src[i:]), "{%")
		if k < 0 {
			panic(l.src.errorf(l.at, "missing end of raw directive"))
		}
		i += k
		from, open := i+2, byte(0)
		if from < len(l.src) && (l.src[from] == '-' || l.src[from] == '+') {
			open = l.src[from]
			from++
		}
		if end, sign, ok := l.bare(from, "endraw"); ok {
			text := string(l.src[body:i])
			l.at = body
			l.data(text, open, true)
			l.at = end
			l.closing(sign, true)
			return true
		}
	}
}

// bare reads a block with nothing but word in it; end is behind its "%}".
func (l *lexer) bare(at int, word string) (end int, sign byte, ok bool) {
	s := strings.TrimLeftFunc(string(l.src[at:]), unicode.IsSpace)
	if s, ok = strings.CutPrefix(s, word); !ok {
		return 0, 0, false
	}
	s = strings.TrimLeftFunc(s, unicode.IsSpace)
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = s[0], s[1:]
	}
	if s, ok = strings.CutPrefix(s, "%}"); !ok {
		return 0, 0, false
	}
	return len(l.src) - len(s), sign, true
}

var operators = []string{"**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{", "}",
	".", ",", ":", "|"}

// code reads the tokens of a tag and its end.
func (l *lexer) code(end kind, closer string, start int) {
	depth := 0
	for {
		for l.at < len(l.src) && isSpace(l.src[l.at]) {
			l.at++
		}
		rest := string(l.src[l.at:])
		if rest == "" {
			panic(l.src.errorf(start, "tag is not closed: missing %q", closer))
		}
		if depth == 0 || end == endBlock {
			signed := rest[0] == '-' || rest[0] == '+'
			if strings.HasPrefix(rest, closer) || signed && strings.HasPrefix(rest[1:], closer) {
				sign := byte(0)
				if signed {
					sign = rest[0]
					l.at++
				}
				l.add(end, closer, l.at)
				l.at += 2
				l.closing(sign, end == endBlock)
				if end == endPrint {
					l.line = false
				}
				return
			}
		}
		depth += l.one(rest)
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\v' }

// one reads a token; the answer is +1 for an opening bracket and -1 for a closing one.
func (l *lexer) one(rest string) int {
	pos := l.at
	c, _ := utf8.DecodeRuneInString(rest)
	switch {
	case c == '\'' || c == '"':
		l.str(rest)
	case c >= '0' && c <= '9':
		l.number(rest)
	case c == '_' || unicode.IsLetter(c):
		n := strings.IndexFunc(rest, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		if n < 0 {
			n = len(rest)
		}
		l.add(name, rest[:n], pos)
		l.at += n
	default:
		for _, op := range operators {
			if !strings.HasPrefix(rest, op) {
				continue
			}
			l.add(operator, op, pos)
			l.at += len(op)
			switch op {
			case "(", "[", "{":
				return 1
			case ")", "]", "}":
				return -1
			}
			return 0
		}
		panic(l.src.errorf(pos, "unexpected character %q", c))
	}
	return 0
}

func (l *lexer) number(rest string) {
	pos, n, k := l.at, 0, integer
	digits := func(ok func(byte) bool) {
		for n < len(rest) && (ok(rest[n]) || rest[n] == '_') {
			n++
		}
	}
	decimal := func(c byte) bool { return c >= '0' && c <= '9' }
	if len(rest) > 1 && rest[0] == '0' && strings.IndexByte("xXoObB", rest[1]) >= 0 {
		n = 2
		digits(func(c byte) bool { return decimal(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' })
	} else {
		digits(decimal)
		if n+1 < len(rest) && rest[n] == '.' && decimal(rest[n+1]) {
			k = float
			n++
			digits(decimal)
		}
		if e := n; e < len(rest) && (rest[e] == 'e' || rest[e] == 'E') {
			if e++; e < len(rest) && (rest[e] == '-' || rest[e] == '+') {
				e++
			}
			if e < len(rest) && decimal(rest[e]) {
				k, n = float, e
				digits(decimal)
			}
		}
	}
	l.add(k, strings.ReplaceAll(rest[:n], "_", ""), pos)
	l.at += n
}

// str reads a string literal with Python's escapes.
func (l *lexer) str(rest string) {
	pos, quote := l.at, rest[0]
	var out strings.Builder
	i := 1
	for ; i < len(rest) && rest[i] != quote; i++ {
		if rest[i] != '\\' || i+1 >= len(rest) {
			out.WriteByte(rest[i])
			continue
		}
		i++
		if r, n, ok := escape(rest[i:]); ok {
			out.WriteString(r)
			i += n - 1
		} else {
			out.WriteString(rest[i-1 : i+1])
		}
	}
	if i >= len(rest) {
		panic(l.src.errorf(pos, "string is not closed"))
	}
	l.add(str, out.String(), pos)
	l.at += i + 1
}

// escape reads what follows a backslash: the text it stands for and its length.
func escape(s string) (text string, n int, ok bool) {
	if i := strings.IndexByte("nrtabfv0\\'\"\n", s[0]); i >= 0 {
		return []string{"\n", "\r", "\t", "\a", "\b", "\f", "\v", "\x00", "\\", "'", "\"", ""}[i], 1, true
	}
	size := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[0]]
	if size == 0 || len(s) < 1+size {
		return "", 0, false
	}
	var r rune
	if _, err := fmt.Sscanf(s[1:1+size], "%x", &r); err != nil {
		return "", 0, false
	}
	return string(r), 1 + size, true
}
