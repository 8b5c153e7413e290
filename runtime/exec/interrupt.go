package exec

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// InterruptedCode is the exit status after Ctrl-C.
const InterruptedCode = 130

// Interruptible gives a context that the first Ctrl-C (or SIGTERM) cancels,
// so that steps checkpoint; the second ends the process at once. stop gives
// the signals back.
func Interruptible(parent context.Context, w io.Writer) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	ignoreFileSizeSignal()
	quit := make(chan struct{})
	go func() {
		select {
		case <-ch:
		case <-quit:
			return
		}
		fmt.Fprintln(w, "\nstopping at the next checkpoint; Ctrl-C again ends at once")
		cancel()
		select {
		case <-ch:
			os.Exit(InterruptedCode)
		case <-quit:
		}
	}()
	var once sync.Once
	return ctx, func() {
		once.Do(func() {
			signal.Stop(ch)
			close(quit)
			cancel()
		})
	}
}
