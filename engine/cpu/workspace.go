package cpu

import (
	"slices"
	"sync"
	"weak"
)

// workspace is the temporary storage of a run, contents undefined before.
type workspace struct {
	arena  []byte
	team   *team
	shared worker
}

// workspaces lends workspaces to the executables of a backend. Executables that do
// not run at the same time share one, which grows to the need of the largest; it
// goes when none of them is left, since only they hold it between runs.
type workspaces struct {
	mu      sync.Mutex
	idle    []weak.Pointer[workspace]
	members []weak.Pointer[executable]
}

// join makes the need of x known, so that an arena is made large enough at once.
func (p *workspaces) join(x *executable) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.members = append(p.members, weak.Make(x))
}

// take returns a workspace of at least bytes of arena that nobody else uses: last,
// if it can.
func (p *workspaces) take(last *workspace, bytes, threads int) *workspace {
	w := p.pick(last)
	if w == nil {
		w = &workspace{team: newTeam(threads)}
	}
	if len(w.arena) < bytes {
		w.arena = nil
		w.arena = allocate(p.largest())
	}
	return w
}

// largest returns the largest arena that a living executable needs.
func (p *workspaces) largest() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	p.members = slices.DeleteFunc(p.members, func(m weak.Pointer[executable]) bool {
		x := m.Value()
		if x != nil {
			n = max(n, x.plan.arena)
		}
		return x == nil
	})
	return n
}

// pick removes a workspace from the idle ones: last, else the first, nil for none.
func (p *workspaces) pick(last *workspace) *workspace {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found *workspace
	at := -1
	for i := 0; i < len(p.idle); {
		w := p.idle[i].Value()
		if w == nil {
			p.idle = slices.Delete(p.idle, i, i+1)
			continue
		}
		if found == nil || w == last {
			found, at = w, i
		}
		i++
	}
	if at >= 0 {
		p.idle = slices.Delete(p.idle, at, at+1)
	}
	return found
}

// give returns w.
func (p *workspaces) give(w *workspace) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, weak.Make(w))
}
