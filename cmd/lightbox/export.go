package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lightbox/runtime/exec"
	"lightbox/runtime/session"
)

func (c *cli) exportCommand() *cobra.Command {
	var o session.ExportOptions
	cmd := &cobra.Command{
		Use:   "export RECIPE --to html|md|tex|ipynb",
		Short: "Write a recipe with its results as a page, a document or a notebook",
		Long: `Export writes the recipe's texts, tables, figures and captions from the store as
one document. Nothing is run; what is missing is named with the command that makes it.

  html    one page for a browser, with no need of a network: sortable tables, every
          image beside its reference and the systems' captions, search, provenance
  md      Markdown as forges render it; pictures in FILE-files/ beside it
  tex     a document for pdflatex (with --fragment its body, to \input)
  ipynb   a notebook with its outputs`,
		Example: `  lightbox export quickstart --to html
  lightbox export ./recipes/radsample --to tex --fragment --out paper/results.tex
  lightbox export quickstart --to ipynb --out - | less`,
		Args: count(1, 1, "one recipe"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.To == "" {
				return &usageError{fmt.Errorf("--to is missing; want html, md, tex or ipynb"), hint(cmd)}
			}
			if err := o.Check(); err != nil {
				return &usageError{err, hint(cmd)}
			}
			so, err := c.options(cmd, args[0])
			if err != nil {
				return err
			}
			s, err := session.Open(cmd.Context(), so)
			if err != nil {
				return err
			}
			o.Stdout = c.out
			done, err := s.Export(cmd.Context(), o)
			if err != nil {
				return err
			}
			if done.File != "" {
				line := fmt.Sprintf("%s, %s", done.File, exec.Bytes(int64(done.Bytes)))
				if n := len(done.Files); n > 0 {
					line += fmt.Sprintf(", with %d pictures beside it", n)
				}
				fmt.Fprintln(c.out, line)
			}
			for _, m := range done.Missing {
				fmt.Fprintf(c.err, "not in the store: %s\n", strings.NewReplacer("**", "", "`", "").Replace(m))
			}
			return nil
		},
	}
	c.recipeFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.To, "to", "", "format: html, md, tex or ipynb")
	f.StringVar(&o.Out, "out", "", "file to write (default out/<recipe>/<recipe>.<format> beside the recipe's module); - is the standard output")
	f.BoolVar(&o.Fragment, "fragment", false, "of tex, only what stands between \\begin{document} and \\end{document}")
	f.IntVar(&o.Films, "captions", 200, "images shown with their captions, evenly spread over the set; 0 is all")
	f.BoolVar(&c.rehearse, "rehearsal", false, "export what lightbox rehearse made")
	return cmd
}
