package step

import (
	"sync"
	"sync/atomic"
)

// Scope says which variable of which recipe is being evaluated. A func value
// made by the interpreter carries no source, so the evaluator states it here
// while it assigns one variable. The zero Scope holds in compiled recipes.
type Scope struct {
	Var, Pos string            // variable and file:line:col
	FuncHash string            // hash of the normalised source that the variable's func values reach
	Params   map[string]string // values set from outside, read by stdlib/param
	Rehearse bool
	Dir      string // the recipe's directory
}

var (
	scopeLock sync.Mutex
	scope     atomic.Pointer[Scope]
)

// Enter sets the process-wide scope until leave is called. A second Enter
// waits for the first one's leave; leave may be called more than once.
func Enter(s Scope) (leave func()) {
	scopeLock.Lock()
	scope.Store(&s)
	var once sync.Once
	return func() {
		once.Do(func() {
			scope.Store(nil)
			scopeLock.Unlock()
		})
	}
}

// Current is the scope in force, or the zero Scope. Its map is read-only.
func Current() Scope {
	if s := scope.Load(); s != nil {
		return *s
	}
	return Scope{}
}
