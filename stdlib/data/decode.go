package data

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"lightbox/runtime/step"
)

// decodeAll decodes every image once, so that a broken one is found while reading and not hours later.
func (rd *reading) decodeAll(ctx *step.Context) error {
	errs := make([]error, len(rd.examples))
	if err := eachImage(ctx, rd.examples, func(i int, err error) { errs[i] = err }); err != nil {
		return err
	}
	rd.dropped = map[int]bool{}
	for i, err := range errs {
		if err != nil {
			rd.dropped[i] = true
			rd.bad = append(rd.bad, badRow{rd.places[i], rd.examples[i].ID, firstOf(err)})
		}
	}
	return nil
}

func firstOf(err error) string { line, _, _ := strings.Cut(err.Error(), "\n"); return line }

// eachImage decodes all images on all cores and reports each one's error or nil; done runs concurrently.
func eachImage(ctx *step.Context, examples []Example, done func(i int, err error)) error {
	var next, finished atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(examples) {
					return
				}
				if examples[i].Image != "" {
					done(i, decodes(examples[i].Image))
				}
				ctx.Progress(finished.Add(1), int64(len(examples)), "images decoded")
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

// decodes is nil where the image can be read; a decoder's panic on hostile bytes is an error like any other.
func decodes(ref string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("image %s: %v", ref, p)
		}
	}()
	_, err = OpenImage(ref)
	return err
}
