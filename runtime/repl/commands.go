package repl

import (
	"context"
	"errors"
	"fmt"
	"go/types"
	"strings"

	"lightbox/runtime/exec"
	"lightbox/runtime/recipe"
	"lightbox/runtime/session"
	"lightbox/stdlib/text"
)

// command is one of the REPL's own, written :name ARGUMENTS.
type command struct {
	name, args, about string
	run               func(r *repl, ctx context.Context, arg string) error
}

// commands returns them in the order in which :help lists them.
func commands() []command {
	return []command{
		{"help", "[NAME]", "what a verb, type, package, method or var is for", (*repl).help},
		{"type", "EXPRESSION", "its type, nothing evaluated", (*repl).typeCommand},
		{"vars", "", "all vars with their types", (*repl).vars},
		{"plan", "[VAR...]", "what running them would do: cached or not, why, at what cost", (*repl).plan},
		{"run", "VAR", "make what it needs, and show it", (*repl).run},
		{"undo", "", "forget the last input", (*repl).undo},
		{"inputs", "", "the inputs so far as text for a recipe", (*repl).inputs},
		{"reload", "", "read the recipe's file again; inputs are kept", (*repl).reload},
		{"quit", "", "end (Ctrl-D does, too)", func(*repl, context.Context, string) error { return errQuit }},
	}
}

func commandNames() []candidate {
	var out []candidate
	for _, c := range commands() {
		out = append(out, candidate{text: ":" + c.name, about: c.about})
	}
	return out
}

func (r *repl) command(ctx context.Context, line string) error {
	name, arg, _ := strings.Cut(line, " ")
	var names []string
	for _, c := range commands() {
		if c.name == name || name == "q" && c.name == "quit" {
			return c.run(r, ctx, strings.TrimSpace(arg))
		}
		names = append(names, c.name)
	}
	if near, ok := text.Nearest(name, names); ok {
		return fmt.Errorf("no command :%s; did you mean :%s", name, near)
	}
	return fmt.Errorf("no command :%s; there are :%s", name, strings.Join(names, ", :"))
}

func (r *repl) vars(context.Context, string) error {
	width := 0
	for _, v := range r.s.Recipe.Vars {
		width = max(width, len(v.Name))
	}
	for _, v := range r.s.Recipe.Vars {
		if v.Name != "_0" {
			fmt.Fprintf(r.out, "%-*s  %s\n", width, v.Name, v.TypeText)
		}
	}
	return nil
}

func (r *repl) plan(ctx context.Context, arg string) error {
	only := strings.Fields(arg)
	if len(only) == 0 && len(r.s.Recipe.Displayed()) == 0 {
		only = r.s.Recipe.VarNames()
	}
	p, err := r.s.Plan(ctx, only)
	if err != nil {
		return r.book.translate(err)
	}
	return p.Write(r.out)
}

func (r *repl) run(ctx context.Context, arg string) error {
	if arg == "" {
		return errors.New("say which var: :run NAME")
	}
	if r.s.Recipe.Var(arg) == nil { // an expression: make it a var first
		c, err := parseInput(arg, r.book.next)
		if err != nil {
			return err
		}
		if len(c.vars) != 1 {
			return fmt.Errorf("say which var: %s is none", arg)
		}
		book := r.book.next
		if err := r.add(ctx, c); err != nil {
			return err
		}
		arg = fmt.Sprintf("_%d", book)
		if c.vars[0] != arg {
			arg = c.vars[0]
		}
	}
	ctx, stop := exec.Interruptible(ctx, r.out)
	defer stop()
	w, rep, err := r.s.Compute(ctx, arg)
	if err != nil {
		return r.book.translate(err)
	}
	if err := session.Print(r.out, []session.Shown{w}, r.style); err != nil {
		return err
	}
	if rep != nil && len(rep.Ran) > 0 {
		return rep.Write(r.out)
	}
	return nil
}

func (r *repl) undo(ctx context.Context, _ string) error {
	n := len(r.book.cells)
	if n == 0 {
		return errors.New("nothing to undo: no input was kept")
	}
	book := r.book
	gone := book.cells[n-1]
	book.cells = book.cells[: n-1 : n-1]
	book.imports = book.needed(r.s.Recipe, r.universe)
	if err := r.replace(ctx, book); err != nil {
		return err
	}
	fmt.Fprintf(r.out, "forgot %s\n", firstLine(gone.input))
	return nil
}

// replace takes another notebook if it holds no errors.
func (r *repl) replace(ctx context.Context, book notebook) error {
	rec, err := recipe.Parse(r.s.Recipe.Path, book.text(), r.universe)
	if err != nil {
		return book.translate(err)
	}
	s, err := r.s.Revise(ctx, rec)
	if err != nil {
		return book.translate(err)
	}
	r.s, r.book = s, book
	return nil
}

func (r *repl) inputs(context.Context, string) error {
	if len(r.book.cells) == 0 {
		fmt.Fprintln(r.out, "no inputs yet")
		return nil
	}
	for _, p := range r.book.imports {
		fmt.Fprintf(r.out, "import %q\n", p)
	}
	fmt.Fprint(r.out, "\n// %%\n\n")
	for _, c := range r.book.cells {
		fmt.Fprintln(r.out, c.text)
	}
	return nil
}

func (r *repl) reload(ctx context.Context, _ string) error {
	if r.o.Session.Recipe == "" {
		return errors.New("there is no recipe to reload: lightbox repl RECIPE")
	}
	rec, err := session.Load(r.o.Session.Recipe)
	if err == nil {
		book := newNotebook(rec)
		book.cells, book.next = r.book.cells, r.book.next
		book.imports = book.needed(rec, r.universe)
		err = r.replace(ctx, book)
	}
	if err != nil {
		return fmt.Errorf("%w\nthe session stays as it was", err)
	}
	fmt.Fprintf(r.out, "%s: %d vars\n", rec.Path, len(rec.Vars))
	return nil
}

func (r *repl) typeCommand(_ context.Context, arg string) error {
	if arg == "" {
		return errors.New("say of what: :type EXPRESSION")
	}
	if o := r.object(arg); o != nil {
		if _, isVar := o.(*types.Var); !isVar {
			fmt.Fprintln(r.out, r.describe(o))
			return nil
		}
	}
	t, err := r.check(arg)
	if err != nil {
		return err
	}
	fmt.Fprintln(r.out, r.typeText(t))
	return nil
}
