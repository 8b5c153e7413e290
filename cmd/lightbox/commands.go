package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lightbox/runtime/exec"
	"lightbox/runtime/session"
)

func (c *cli) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run RECIPE",
		Short: "Run a recipe and show its results",
		Long: `Run makes what the recipe's displayed variables (those whose names begin with a
capital letter) need, shows them, and writes them to out/<recipe>/.

Every step's result is kept in the store under the hash of all it depends on, so
a second run does nothing and a changed parameter reruns only what depends on it.
Ctrl-C stops at the next checkpoint; the same command goes on from there.`,
		Example: "  lightbox run quickstart\n  lightbox run ./recipes/radsample --set rocov2=../data/radsample\n  lightbox run quickstart --only Table",
		Args:    count(1, 1, "one recipe"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := c.options(cmd, args[0])
			if err != nil {
				return err
			}
			o.Only = c.only
			s, err := session.Open(cmd.Context(), o)
			if err != nil {
				return err
			}
			out, err := s.Run(cmd.Context(), c.only)
			if err == nil {
				if err := session.Print(c.out, out.Shown, session.Style(c.out)); err != nil {
					return err
				}
			}
			if out != nil && (err == nil || len(out.Report.Ran) > 0) {
				c.footer(out)
			}
			return err
		},
	}
	c.recipeFlags(cmd)
	c.workFlags(cmd)
	cmd.Flags().StringSliceVar(&c.only, "only", nil, "run and show only these variables, whatever their names")
	cmd.Flags().StringVar(&c.dir, "out", "", "directory for the results (default out/<recipe> beside the recipe's module)")
	return cmd
}

// footer says what a run took and where its results are.
func (c *cli) footer(out *session.Outcome) {
	_ = out.Report.Write(c.err)
	if len(out.Files) > 0 {
		var names []string
		for _, f := range out.Files {
			names = append(names, filepath.Base(f))
		}
		fmt.Fprintf(c.err, "results in %s: %s\n", out.Dir, strings.Join(names, " "))
	}
	for _, n := range out.Notes {
		fmt.Fprintf(c.err, "note: %s\n", n)
	}
}

func (c *cli) rehearseCommand() *cobra.Command {
	cmd := c.runCommand()
	cmd.Use = "rehearse RECIPE"
	cmd.Short = "Run the same recipe with tiny random models and a handful of drawn pictures"
	cmd.Long = `Rehearse runs a recipe from beginning to end in a minute or two, on any machine:
every checkpoint is replaced by a tiny random one of the same architecture, every
data set on disk by a few drawn pictures, training by two steps. Neither weights
nor data need be there. It shows whether the recipe works before hours are spent.

Everything shown and written is marked REHEARSAL, goes to out/<recipe>-rehearsal/,
and leaves the lock file alone.`
	cmd.Example = "  lightbox rehearse ./recipes/comparison"
	inner := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c.rehearse = true
		return inner(cmd, args)
	}
	return cmd
}

// modelsCommand is the built-in recipe of that name.
func (c *cli) modelsCommand() *cobra.Command {
	run := c.runCommand()
	run.Use, run.Args = "models", count(0, 0, "no arguments")
	run.Short = "Print the paper's ten systems: encoder, decoder, connector and parameters of each"
	run.Long = "Models runs the built-in recipe models. It counts parameters on the module trees that the systems' configurations describe; no weights are needed."
	run.Example = "  lightbox models"
	run.Annotations = map[string]string{recipeOf: "models"}
	inner := run.RunE
	run.RunE = func(cmd *cobra.Command, _ []string) error { return inner(cmd, []string{"models"}) }
	return run
}

// scoreCommand is the built-in recipe of that name, its parameters as arguments and flags.
func (c *cli) scoreCommand() *cobra.Command {
	var images, metrics string
	var allowEmpty bool
	run := c.runCommand()
	run.Use, run.Args = "score PREDICTIONS... REFERENCE", count(2, -1, "files of predicted captions and, last, the file of reference captions")
	run.Short = "Score captions that any tool wrote against reference captions"
	run.Long = `Score reads captions from files, whatever made them, scores each against the caption
of the same ID in the last file, and prints a table: one line per file, means with
95% intervals, and, of several files, the paired differences from the first one with
tests corrected for their number (Holm).

Files are of ImageCLEF's format: a header with ID and Caption, one line per image,
separated by commas, bars, semicolons or tabs, with captions in double quotes where
they hold the separator; or .jsonl with an id and a caption per line. All that is
wrong with them is said at once, by file and line.

--metrics takes sets and names, separated by commas:
  offline     no model, no network (ROUGE, concept F1, components)
  imageclef   the six metrics of ImageCLEFmedical Caption 2025 with their averages;
              needs --images and four checkpoints. imageclef,-similarity leaves one out
  or single metrics: rouge1, bertscore, bleurt, ...

--only Coloured,Components shows what captions and references say of modality,
findings, anatomy, laterality, markers and measurements, in colours and counted.

It is the built-in recipe score: results and the score of every caption (Captions.csv)
go to out/score/, and the recipe's other parameters, such as other checkpoints, are
set by --set.`
	run.Example = "  lightbox score predictions.csv test_captions.csv\n  lightbox score ours.csv theirs.csv test_captions.csv --metrics imageclef --images test/"
	run.Annotations = map[string]string{recipeOf: "score"}
	run.Flags().StringVar(&images, "images", "", "folder with the images, named by ID, for metrics that look at them")
	run.Flags().StringVar(&metrics, "metrics", "", "metrics, separated by commas (default: offline, with the modality as the reference names it)")
	run.Flags().BoolVar(&allowEmpty, "allow-empty", false, "accept empty captions in predictions")
	inner := run.RunE
	run.RunE = func(cmd *cobra.Command, args []string) error {
		const separator = string(os.PathListSeparator)
		for _, a := range args {
			if strings.Contains(a, separator) {
				return &usageError{fmt.Errorf("%s: the name of a file may not hold %q here", a, separator), hint(cmd)}
			}
		}
		last := len(args) - 1
		set := []string{"reference=" + args[last], "predictions=" + strings.Join(args[:last], separator), "images=" + images, fmt.Sprintf("allow_empty=%v", allowEmpty)}
		if metrics != "" {
			set = append(set, "metrics="+metrics)
		}
		c.set = append(set, c.set...)
		if len(c.only) == 0 {
			c.only = []string{"Captions", "Table"}
		}
		return inner(cmd, []string{"score"})
	}
	return run
}

func (c *cli) planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan RECIPE",
		Short: "Say what a run would do: what is cached, what will run and why, at what cost",
		Args:  count(1, 1, "one recipe"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := c.options(cmd, args[0])
			if err != nil {
				return err
			}
			o.Only = c.only
			s, err := session.Open(cmd.Context(), o)
			if err != nil {
				return err
			}
			p, err := s.Plan(cmd.Context(), c.only)
			if err != nil {
				return err
			}
			return p.Write(c.out)
		},
	}
	c.recipeFlags(cmd)
	c.workFlags(cmd)
	cmd.Flags().StringSliceVar(&c.only, "only", nil, "plan only these variables")
	return cmd
}

func (c *cli) checkCommand() *cobra.Command {
	var fix bool
	cmd := &cobra.Command{
		Use:   "check RECIPE...",
		Short: "Report all errors of recipes, with nothing run",
		Args:  count(1, -1, "at least one recipe"),
		RunE: func(cmd *cobra.Command, args []string) error {
			failed := false
			for _, a := range args {
				if fix {
					file, n, err := session.Fix(a)
					if err != nil {
						return err
					}
					if n > 0 {
						fmt.Fprintf(c.err, "%s: %d blank lines inserted\n", file, n)
					}
				}
				o, err := c.options(cmd, a)
				if err != nil {
					return err
				}
				s, err := session.Open(cmd.Context(), o)
				if err != nil {
					if cmd.Context().Err() != nil {
						return err
					}
					fmt.Fprintln(c.err, err)
					failed = true
					continue
				}
				fmt.Fprintf(c.out, "%s: no errors in %d variables\n", s.Recipe.Path, len(s.Recipe.Vars))
			}
			if failed {
				return &toldError{}
			}
			return nil
		},
	}
	c.recipeFlags(cmd)
	cmd.Flags().BoolVar(&fix, "fix", false, "insert the blank lines that keep cell comments apart from their variables")
	return cmd
}

func (c *cli) showCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show RECIPE VAR",
		Short: "Show a variable from the store, without running anything",
		Args:  count(2, 2, "a recipe and a variable"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := c.options(cmd, args[0])
			if err != nil {
				return err
			}
			s, err := session.Open(cmd.Context(), o)
			if err != nil {
				return err
			}
			w, err := s.Cached(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			if format == "" {
				return session.Print(c.out, []session.Shown{w}, session.Style(c.out))
			}
			err = session.PrintAs(c.out, w, format)
			if errors.Is(err, session.ErrFormat) {
				return &usageError{err, hint(cmd)}
			}
			return err
		},
	}
	c.recipeFlags(cmd)
	cmd.Flags().StringVar(&format, "format", "", "txt, md, tex, csv or html (default: for the terminal)")
	return cmd
}

func (c *cli) verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify RECIPE",
		Short: "Make everything once more and compare it with the lock file",
		Long: `Verify runs the recipe in a scratch store and compares every entry with
<recipe>.lock.yaml: bits where both were made on the same kind of device,
headline numbers elsewhere. It names what changed.`,
		Args: count(1, 1, "one recipe"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := c.options(cmd, args[0])
			if err != nil {
				return err
			}
			s, err := session.Open(cmd.Context(), o)
			if err != nil {
				return err
			}
			found, err := s.Verify(cmd.Context())
			if err != nil {
				return err
			}
			bad := 0
			for _, f := range found {
				line := fmt.Sprintf("%-24s %s", f.Name, f.Verdict)
				if len(f.Why) > 0 {
					line += ": " + strings.Join(f.Why, "; ")
				}
				fmt.Fprintln(c.out, line)
				if !f.OK() {
					bad++
				}
			}
			if bad > 0 {
				return fmt.Errorf("%d of %d entries of the lock file were not reproduced", bad, len(found))
			}
			fmt.Fprintf(c.out, "all %d entries reproduced\n", len(found))
			return nil
		},
	}
	c.recipeFlags(cmd)
	c.workFlags(cmd)
	return cmd
}

func (c *cli) gcCommand() *cobra.Command {
	var older time.Duration
	var dry bool
	cmd := &cobra.Command{
		Use:   "gc [RECIPE...]",
		Short: "Remove artifacts that the named recipes do not refer to",
		Long: `GC removes artifacts, checkpoints and leftovers that none of the named recipes, as
they are now, refers to. Without a recipe it goes by age alone, and wants --older-than.`,
		Args: count(0, -1, "recipes"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && older == 0 {
				return &usageError{errors.New("gc without a recipe would remove everything: name the recipes to keep, or give --older-than"), hint(cmd)}
			}
			o, err := c.options(cmd, "")
			if err != nil {
				return err
			}
			list, st, err := session.GC(cmd.Context(), args, o, session.GCOptions{Age: older, Dry: dry})
			if err != nil {
				return err
			}
			var total int64
			shown := 0
			for _, g := range list {
				total += g.Bytes
				if g.Minor {
					continue
				}
				shown++
				fmt.Fprintf(c.out, "%8s  %s  %s %s %s\n", exec.Bytes(g.Bytes), g.Made.Local().Format(time.DateTime), g.Path, g.Op, g.Var)
			}
			verb := "removed"
			if dry {
				verb = "would be removed"
			}
			fmt.Fprintf(c.out, "%s: %d directories %s, %s\n", st.Root(), shown, verb, exec.Bytes(total))
			return nil
		},
	}
	c.recipeFlags(cmd)
	cmd.Flags().DurationVar(&older, "older-than", 0, "only what is older, e.g. 720h")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "list, remove nothing")
	return cmd
}

func (c *cli) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [RECIPE]",
		Short: "Say what this machine offers: processor, memory, GPU, store, data",
		Args:  count(0, 1, "at most one recipe"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			well, err := session.Doctor(c.out, name, c.store)
			if err == nil && !well {
				return &toldError{}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&c.store, "store", "", "directory of artifacts")
	return cmd
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  count(0, 0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintf(c.out, "lightbox %s (%s, %s/%s)\n", exec.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
