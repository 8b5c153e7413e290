package session

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"lightbox/runtime/step"
	"lightbox/runtime/store"
)

// GCOptions bound what GC removes.
type GCOptions struct {
	Age time.Duration // only what is older
	Dry bool          // list, remove nothing
}

// GC removes what the plans of recipes do not refer to and is older than the
// options say; see store.GC.
func GC(ctx context.Context, recipes []string, o Options, opt GCOptions) ([]store.Garbage, *store.Store, error) {
	keep := map[step.Key]bool{}
	root := o.Store
	for _, name := range recipes {
		o.Recipe = name
		s, err := Open(ctx, o)
		if err != nil {
			return nil, nil, err
		}
		if root == "" {
			root = s.storeRoot()
		}
		if a, b := abs(root), s.Store.Root(); a != b {
			return nil, nil, fmt.Errorf("the recipes have two stores, %s and %s: clean them one by one, or name one with --store", a, b)
		}
		p, err := s.plan(ctx, s.Exec, s.Values.Values)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot tell what %s still needs, so nothing was removed: %w", name, err)
		}
		for k := range p.Keys() {
			keep[k] = true
		}
	}
	if root == "" {
		root = store.Locate(".")
	}
	st, err := store.Open(root)
	if err != nil {
		return nil, nil, err
	}
	list, err := st.GC(keep, opt.Age, opt.Dry)
	return list, st, err
}

func abs(p string) string {
	if a, err := filepath.Abs(p); err == nil {
		return a
	}
	return p
}
