package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"lightbox/runtime/session"
)

func (c *cli) diffCommand() *cobra.Command {
	var format string
	var captions int
	cmd := &cobra.Command{
		Use:   "diff A [B]",
		Short: "Say what differs between two recipes, lock files or settings of one recipe",
		Long: `Diff compares what two runs were given and what they gave: parameters, files,
versions, numbers and captions side by side, only those that differ; equal ones are
counted. Nothing is run: of a recipe it takes what the store holds.

A and B are recipes or lock files. With one recipe, --set makes B of it: the same
recipe with other parameters; without --set, A is the recipe's lock file.`,
		Example: `  lightbox diff quickstart --set epochs=4
  lightbox diff ./recipes/radsample
  lightbox diff ./recipes/mine ./recipes/yours --format md
  lightbox diff old/radsample.lock.yaml ./recipes/radsample/radsample.lock.yaml`,
		Args: count(1, 2, "one or two recipes or lock files"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if captions < 0 {
				return &usageError{fmt.Errorf("--captions %d: want a number from 0", captions), hint(cmd)}
			}
			a, b, err := c.sides(cmd, args)
			if err != nil {
				return err
			}
			shown := session.Shown{Name: "diff", View: session.Diff(a, b, captions)}
			if format == "" {
				return session.PrintView(c.out, shown.View, session.Style(c.out))
			}
			err = session.PrintAs(c.out, shown, format)
			if errors.Is(err, session.ErrFormat) {
				return &usageError{err, hint(cmd)}
			}
			return err
		},
	}
	c.recipeFlags(cmd)
	cmd.Flags().StringVar(&format, "format", "", "txt, md, tex, csv or html (default: for the terminal)")
	cmd.Flags().IntVar(&captions, "captions", 5, "captions shown of those that differ")
	return cmd
}

// sides opens what the arguments name.
func (c *cli) sides(cmd *cobra.Command, args []string) (a, b *session.Side, err error) {
	given := c.set
	last := args[len(args)-1]
	if len(given) > 0 && session.IsLock(last) {
		return nil, nil, &usageError{fmt.Errorf("--set is for a recipe; %s is a lock file", last), hint(cmd)}
	}
	if len(args) == 1 && session.IsLock(last) {
		return nil, nil, &usageError{errors.New("a lock file alone has nothing to be compared with; name a second one or a recipe"), hint(cmd)}
	}
	if len(args) == 1 && len(given) == 0 {
		s, err := c.open(cmd, last)
		if err != nil {
			return nil, nil, err
		}
		if a, err = s.Committed(); err != nil {
			return nil, nil, err
		}
		b, err = s.Side(cmd.Context())
		return a, b, err
	}
	c.set = nil
	if a, err = c.side(cmd.Context(), cmd, args[0]); err != nil {
		return nil, nil, err
	}
	c.set = given
	b, err = c.side(cmd.Context(), cmd, last)
	return a, b, err
}

func (c *cli) side(ctx context.Context, cmd *cobra.Command, arg string) (*session.Side, error) {
	if session.IsLock(arg) {
		return session.LockSide(arg)
	}
	s, err := c.open(cmd, arg)
	if err != nil {
		return nil, err
	}
	return s.Side(ctx)
}

func (c *cli) open(cmd *cobra.Command, recipe string) (*session.Session, error) {
	o, err := c.options(cmd, recipe)
	if err != nil {
		return nil, err
	}
	return session.Open(cmd.Context(), o)
}
