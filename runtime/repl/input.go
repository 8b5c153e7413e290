package repl

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/reeflective/readline"
)

// errCancelled is Ctrl-C at the prompt: the line is dropped.
var errCancelled = errors.New("cancelled")

// input reads inputs, each of one or more lines.
type input struct {
	shell *readline.Shell // nil in a pipe
	lines *bufio.Scanner
}

const (
	prompt     = "» "
	promptMore = "… "
	maxLine    = 1 << 20
)

func newInput(r *repl, o Options) *input {
	if f, ok := o.In.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		return &input{shell: newShell(r, o.History)}
	}
	s := bufio.NewScanner(o.In)
	s.Buffer(nil, maxLine)
	return &input{lines: s}
}

func (in *input) terminal() bool { return in.shell != nil }

func newShell(r *repl, history string) *readline.Shell {
	sh := readline.NewShell()
	sh.Prompt.Primary(func() string { return prompt })
	sh.Prompt.Secondary(func() string { return promptMore })
	sh.AcceptMultiline = func(line []rune) bool { return complete(string(line)) }
	sh.Completer = func(line []rune, cursor int) readline.Completions {
		return completions(r.candidates(string(line), len(string(line[:cursor]))))
	}
	if history != "" && os.MkdirAll(filepath.Dir(history), 0o700) == nil {
		sh.History.AddFromFile("inputs", history)
	}
	return sh
}

func completions(cs []candidate, replaced string) readline.Completions {
	var raw []readline.Completion
	for _, c := range cs {
		raw = append(raw, readline.Completion{Value: c.text, Display: c.display, Description: c.about})
	}
	all := readline.CompleteRaw(raw)
	all.PREFIX = replaced
	return all
}

// read returns the next input, or io.EOF.
func (in *input) read() (string, error) {
	if in.shell != nil {
		text, err := in.shell.Readline()
		if errors.Is(err, readline.ErrInterrupt) {
			return "", errCancelled
		}
		return text, err
	}
	var text strings.Builder
	for in.lines.Scan() {
		text.WriteString(in.lines.Text())
		if complete(text.String()) {
			return text.String(), nil
		}
		text.WriteByte('\n')
	}
	if err := in.lines.Err(); err != nil {
		return "", err
	}
	if strings.TrimSpace(text.String()) != "" {
		return text.String(), nil // unfinished: what it lacks is said as an error
	}
	return "", io.EOF
}
