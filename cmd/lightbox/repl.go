package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"lightbox/runtime/repl"
)

// stopKey holds the function that gives Ctrl-C back to the process.
type stopKey struct{}

func (c *cli) replCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repl [RECIPE]",
		Short: "Look around in a recipe: its variables, new ones, expressions, help",
		Long: `Repl reads expressions and variables of the recipe language, with the recipe's own
at hand. What the store holds is shown at once; :run VAR makes the rest. Inputs have
the same checks as a file; :inputs writes them as text for one. In a pipe it reads
lines and ends with exit code 1 if any was wrong.`,
		Example: "  lightbox repl quickstart\n  echo 'Table' | lightbox repl quickstart",
		Args:    count(0, 1, "at most one recipe"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			o, err := c.options(cmd, name)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if stop, ok := ctx.Value(stopKey{}).(func()); ok {
				// Ctrl-C drops a line or stops a run, not the session.
				ctx = context.WithoutCancel(ctx)
				stop()
			}
			err = repl.Run(ctx, repl.Options{Session: o, In: cmd.InOrStdin(), Out: c.out, History: historyFile()})
			if errors.Is(err, repl.ErrFailed) {
				return &toldError{}
			}
			return err
		},
	}
	c.recipeFlags(cmd)
	c.workFlags(cmd)
	return cmd
}

// historyFile is where inputs are kept between sessions; none without a home.
func historyFile() string {
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "lightbox", "history")
}
