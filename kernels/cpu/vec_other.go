//go:build !amd64

package cpu

// vecOf gives the loops of a path: there is one here.
func vecOf(Path) *vecTable { return &vecGo }
