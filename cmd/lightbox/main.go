// Command lightbox runs recipes: plans, executes, verifies and shows them.
//
// This package knows flags and exit codes only. Exit codes: 0 done, 1 an
// error, 2 wrong usage, 130 interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"lightbox/runtime/exec"
	"lightbox/runtime/session"
)

const (
	codeError = 1
	codeUsage = 2
)

func main() {
	ctx, stop := exec.Interruptible(context.Background(), os.Stderr)
	defer stop()
	ctx = context.WithValue(ctx, stopKey{}, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program but for the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c := &cli{out: stdout, err: stderr, args: args}
	c.terminal = session.IsTerminal(stderr)
	root := c.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var bad *usageError
	var told *toldError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &told):
		return codeError
	case errors.Is(err, exec.ErrInterrupted), ctx.Err() != nil:
		fmt.Fprintln(stderr, err)
		return exec.InterruptedCode
	case errors.As(err, &bad):
		fmt.Fprintf(stderr, "lightbox: %v\n%s\n", err, bad.hint)
		return codeUsage
	}
	fmt.Fprintln(stderr, err)
	return codeError
}

// usageError is a wrong command line.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// toldError ends with an error whose text was printed already.
type toldError struct{}

func (*toldError) Error() string { return "failed" }

// cli holds the flags that commands share.
type cli struct {
	out, err io.Writer
	args     []string
	terminal bool

	set          []string
	store, dir   string
	device       string
	threads      int
	ignoreMemory bool
	rehearse     bool
	only         []string
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "lightbox",
		Short: "Run recipes that fine-tune, caption with, score and look into vision-language models",
		Long: `Lightbox runs recipes: plain Go files that fine-tune vision-language models with
LoRA, caption images, score the captions and print the tables.

A first look, no data and no network needed:

  lightbox run quickstart

RECIPE is a Go file, a directory that holds one, or the name of a built-in recipe
(` + builtinNames() + `). lightbox run RECIPE -h lists its parameters.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{err, hint(cmd)}
	})
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		help(cmd, args)
		c.recipeHelp(cmd, args)
	})
	root.AddCommand(c.runCommand(), c.rehearseCommand(), c.planCommand(), c.checkCommand(), c.showCommand(), c.replCommand(), c.verifyCommand(),
		c.exportCommand(), c.diffCommand(), c.gcCommand(), c.modelsCommand(), c.scoreCommand(), c.doctorCommand(), c.versionCommand())
	root.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		text := "unknown command " + args[0]
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			text += "; did you mean " + near[0]
		}
		return &usageError{errors.New(text), hint(cmd)}
	}
	root.SuggestionsMinimumDistance = 2
	root.RunE = func(cmd *cobra.Command, args []string) error { return cmd.Help() }
	return root
}

func builtinNames() string {
	if names := session.Builtin(); len(names) > 0 {
		return strings.Join(names, ", ")
	}
	return "none in this build"
}

func hint(cmd *cobra.Command) string {
	return "try: " + cmd.CommandPath() + " -h"
}

// count makes an argument check whose error is a usage error.
func count(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return &usageError{fmt.Errorf("%s takes %s, got %d arguments", cmd.CommandPath(), what, len(args)), hint(cmd)}
		}
		return nil
	}
}

// recipeFlags adds the flags of commands that open a recipe.
func (c *cli) recipeFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&c.set, "set", nil, "set a parameter of the recipe, name=value (repeatable)")
	f.StringVar(&c.store, "store", "", "directory of artifacts (default .lightbox beside the recipe's module)")
}

// workFlags adds the flags of commands that compute.
func (c *cli) workFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.device, "device", "", "device to compute on (default: the recipe's, else cpu)")
	f.IntVar(&c.threads, "threads", 0, "threads to compute with; no result depends on it (default: one per processor)")
	f.BoolVar(&c.ignoreMemory, "ignore-memory", false, "run although the memory estimate exceeds what is free")
}

// options are the session's, from the flags.
func (c *cli) options(cmd *cobra.Command, recipe string) (session.Options, error) {
	o := session.Options{
		Recipe: recipe, Store: c.store, Out: c.dir, Device: c.device, Threads: c.threads, IgnoreMemory: c.ignoreMemory, Rehearse: c.rehearse,
		Command: "lightbox " + quoted(c.args), Progress: c.err, Terminal: c.terminal,
	}
	for _, s := range c.set {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return o, &usageError{fmt.Errorf("--set %s: want name=value", s), hint(cmd)}
		}
		if o.Set == nil {
			o.Set = map[string]string{}
		}
		o.Set[name] = value
	}
	return o, nil
}

// quoted writes arguments as a shell would take them.
func quoted(args []string) string {
	var out []string
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$&|;<>()*?[]{}~#`!") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		out = append(out, a)
	}
	return strings.Join(out, " ")
}

// takesValue reports whether an argument is a flag whose value is the next one.
func takesValue(cmd *cobra.Command, arg string) bool {
	name, ok := strings.CutPrefix(arg, "--")
	if !ok {
		return false
	}
	f := cmd.Flags().Lookup(name)
	return f != nil && f.NoOptDefVal == ""
}

// recipeOf annotates a command that is a built-in recipe with its name.
const recipeOf = "recipe"

// recipeHelp lists the parameters of the recipe that -h was asked with.
func (c *cli) recipeHelp(cmd *cobra.Command, args []string) {
	if cmd.Flags().Lookup("set") == nil {
		return
	}
	if name := cmd.Annotations[recipeOf]; name != "" {
		args = []string{name}
	}
	for i, a := range args {
		if i == 0 && cmd.Annotations[recipeOf] == "" && a == cmd.Name() || strings.HasPrefix(a, "-") {
			continue
		}
		if i > 0 && takesValue(cmd, args[i-1]) || session.IsLock(a) {
			continue
		}
		r, err := session.Load(a)
		if err != nil {
			fmt.Fprintf(c.out, "\n%v\n", err)
			return
		}
		fmt.Fprintf(c.out, "\nRecipe %s", r.Name)
		if r.Meta.Title != "" {
			fmt.Fprintf(c.out, ": %s", r.Meta.Title)
		}
		fmt.Fprintln(c.out)
		if len(r.Params) == 0 {
			fmt.Fprintln(c.out, "  It has no parameters.")
		}
		for _, p := range r.Params {
			fmt.Fprintf(c.out, "  --set %s=%s  %s (%s)\n", p.Name, p.Default, p.Doc, strings.ToLower(p.Kind))
		}
		return
	}
}
