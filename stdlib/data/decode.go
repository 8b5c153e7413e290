package data

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"lightbox/runtime/step"
	"lightbox/stdlib/vision"
)

// decodeAll decodes every image once, so that a broken one is found while reading and not hours later.
func (rd *reading) decodeAll(ctx *step.Context) error {
	errs := make([]error, len(rd.examples))
	open := func(i int) (*vision.Image, error) {
		if ref := rd.examples[i].Image; ref != "" {
			return OpenImage(ref)
		}
		return nil, nil
	}
	if err := eachImage(ctx, len(rd.examples), open, func(i int, _ *vision.Image, err error) { errs[i] = err }); err != nil {
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

// eachImage opens n images on all cores, one at a time on each, and hands over each one or its error; done runs
// concurrently.
func eachImage(ctx *step.Context, n int, open func(i int) (*vision.Image, error), done func(i int, im *vision.Image, err error)) error {
	var next, finished atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				im, err := guarded(i, open)
				done(i, im, err)
				ctx.Progress(finished.Add(1), int64(n), "images decoded")
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

// guarded opens an image; a decoder's panic on hostile bytes is an error like any other.
func guarded(i int, open func(i int) (*vision.Image, error)) (im *vision.Image, err error) {
	defer func() {
		if p := recover(); p != nil {
			im, err = nil, fmt.Errorf("image: %v", p)
		}
	}()
	return open(i)
}
