// Package repl is the interactive front end: a recipe's vars at hand, new vars
// and expressions with the same checks and errors as in a file.
//
// Every input becomes a cell appended to the recipe's text, and the whole text
// is checked and evaluated anew: there is no second way to evaluate, no hidden
// state, and nothing that a file would not accept. That takes milliseconds,
// because evaluating only builds the plan. A value whose steps are all in the
// store is shown at once; others say what is missing, and `:run` makes them.
//
// The package knows inputs, commands, completion and history. It does not
// know what a recipe means (runtime/recipe), nor how values are made and shown
// (runtime/session).
package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"lightbox/runtime/recipe"
	"lightbox/runtime/report"
	"lightbox/runtime/session"
	"lightbox/runtime/symbols"
)

// Options are what the command line knows.
type Options struct {
	Session session.Options // Session.Recipe may be empty: no recipe, only imports
	In      io.Reader
	Out     io.Writer // values, and errors too: they answer the input
	History string    // file that keeps the inputs between sessions; "" keeps none
}

// ErrFailed is returned at the end of piped input of which some was wrong; its
// errors have been printed.
var ErrFailed = errors.New("some input failed")

// errQuit ends the session.
var errQuit = errors.New("quit")

// Run reads inputs until their end or :quit. On a terminal it edits lines,
// completes and keeps a history; in a pipe it reads plain lines and ends with
// ErrFailed if any input was wrong.
func Run(ctx context.Context, o Options) error {
	r, err := open(ctx, o)
	if err != nil {
		return err
	}
	in := newInput(r, o)
	if in.terminal() {
		r.welcome()
	}
	failed := false
	for {
		text, err := in.read()
		switch {
		case errors.Is(err, io.EOF):
			if failed && !in.terminal() {
				return ErrFailed
			}
			return nil
		case errors.Is(err, errCancelled):
			continue
		case err != nil:
			return err
		}
		err = r.handle(ctx, text)
		if errors.Is(err, errQuit) {
			return nil
		}
		if err != nil {
			failed = true
			fmt.Fprintln(r.out, err)
		}
	}
}

// repl is one interactive session.
type repl struct {
	o        Options
	out      io.Writer
	style    report.Style
	universe recipe.Universe
	book     notebook
	s        *session.Session
}

func open(ctx context.Context, o Options) (*repl, error) {
	r := &repl{o: o, out: o.Out, style: session.Style(o.Out), universe: symbols.Universe()}
	return r, r.load(ctx)
}

// load reads the recipe, or starts without one, and forgets all inputs.
func (r *repl) load(ctx context.Context) error {
	var rec *recipe.Recipe
	var err error
	if r.o.Session.Recipe == "" {
		if rec, err = recipe.Parse(bare, []byte(bareText), r.universe); err == nil {
			rec.Warnings = nil // that it displays nothing
		}
	} else {
		rec, err = session.Load(r.o.Session.Recipe)
	}
	if err != nil {
		return err
	}
	s, err := session.OpenRecipe(ctx, rec, r.o.Session)
	if err != nil {
		return err
	}
	r.s, r.book = s, newNotebook(rec)
	return nil
}

func (r *repl) welcome() {
	rec := r.s.Recipe
	if r.o.Session.Recipe == "" {
		fmt.Fprintln(r.out, "Expressions and vars of the recipe language; :help lists the commands.")
		return
	}
	fmt.Fprintf(r.out, "%s: %s. %d vars: %s\n:help lists the commands.\n", rec.Path, rec.Meta.Title, len(rec.Vars), strings.Join(rec.VarNames(), ", "))
}

// handle answers one input.
func (r *repl) handle(ctx context.Context, text string) error {
	text = strings.TrimSpace(text)
	switch {
	case text == "" || strings.HasPrefix(text, "//"):
		return nil
	case strings.HasPrefix(text, ":"):
		return r.command(ctx, text[1:])
	}
	if v := r.s.Recipe.Var(text); v != nil {
		return r.show(ctx, text)
	}
	c, err := parseInput(text, r.book.next)
	if err != nil {
		return err
	}
	return r.add(ctx, c)
}

// add appends a cell; if anything is wrong with the whole, nothing changes.
func (r *repl) add(ctx context.Context, c cell) error {
	book, err := r.book.with(c, r.s.Recipe, r.universe)
	if err != nil {
		return err
	}
	rec, err := recipe.Parse(r.s.Recipe.Path, book.text(), r.universe)
	if err != nil {
		return book.translate(err)
	}
	s, err := r.s.Revise(ctx, rec)
	if err != nil {
		return book.translate(err)
	}
	r.s, r.book = s, book
	for _, name := range c.vars {
		if err := r.show(ctx, name); err != nil {
			return book.translate(err)
		}
	}
	return nil
}

// show prints a var's value if nothing has to run for it, and else what has to.
func (r *repl) show(ctx context.Context, name string) error {
	v := r.s.Recipe.Var(name)
	val, _ := r.s.Values.Value(name)
	if len(val.Refs()) == 0 {
		return r.plain(ctx, name, v, val.Any())
	}
	w, missing, err := r.s.Peek(ctx, name)
	if err != nil {
		return err
	}
	if missing == nil {
		return session.Print(r.out, []session.Shown{w}, r.style)
	}
	fmt.Fprintf(r.out, "%s %s: not in the store yet; %s\n:run %s makes it, :plan %s says more\n", name, v.TypeText, missing.Summary(), name, name)
	return nil
}

// plain prints a value that stands on no steps.
func (r *repl) plain(ctx context.Context, name string, v *recipe.Var, x any) error {
	switch x := x.(type) {
	case nil:
		fmt.Fprintf(r.out, "%s %s = nil\n", name, v.TypeText)
	case string:
		fmt.Fprintf(r.out, "%s %s = %q\n", name, v.TypeText, x)
	case bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64, error, fmt.Stringer:
		fmt.Fprintf(r.out, "%s %s = %v\n", name, v.TypeText, x)
	default:
		if strings.HasPrefix(v.TypeText, "func") {
			fmt.Fprintf(r.out, "%s %s\n", name, v.TypeText)
			return nil
		}
		w, _, err := r.s.Peek(ctx, name)
		if err != nil {
			return err
		}
		return session.Print(r.out, []session.Shown{w}, r.style)
	}
	return nil
}
