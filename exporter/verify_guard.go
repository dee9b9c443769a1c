package exporter

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
)

// DefaultLimit is how long one run may take where nobody says otherwise.
const DefaultLimit = time.Minute

// patience is how many times as long as the slowest run before it a run may take, whatever
// the limit: large models on slow machines are slow on both sides.
const patience = 20

// LimitError is a run that gave no answer in time, or an opening of a model.
type LimitError struct {
	Model, Runtime string
	Limit          time.Duration
}

// Error names the model, the runtime and the limit.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%s on %s: want an answer within %s, got none", e.Model, e.Runtime, e.Limit)
}

// guarded is a session whose runs end with the context and with a limit. The runtimes cannot
// be interrupted: a run that is given up goes on in its goroutine until the process ends, and
// the session stays open under it.
type guarded struct {
	model, runtime string
	limit          time.Duration
	session        runtimes.Session
	lost           bool
}

// guard opens a subject. Runtimes whose runs end have no limit.
func guard(ctx context.Context, s Subject, limit time.Duration) (*guarded, error) {
	if _, ends := s.Runtime.(runtimes.Ending); ends {
		limit = math.MaxInt64
	} else if limit <= 0 {
		limit = DefaultLimit
	}
	g := &guarded{model: s.Source.Label(), runtime: s.Runtime.Name(), limit: limit}
	session, _, err := within(ctx, g, func() (runtimes.Session, error) { return s.Runtime.Open(s.Source) })
	g.session = session
	return g, err
}

// run returns what the session gives and how long it took. The limit grows with what other
// runs took.
func (g *guarded) run(ctx context.Context, in Feed, others time.Duration) (map[string]*ir.Tensor, time.Duration, error) {
	g.limit = max(g.limit, patience*others)
	return within(ctx, g, func() (map[string]*ir.Tensor, error) { return g.session.Run(in) })
}

// Close frees the session unless a run has it still.
func (g *guarded) Close() error {
	if g.lost || g.session == nil {
		return nil
	}
	return g.session.Close()
}

func within[T any](ctx context.Context, g *guarded, do func() (T, error)) (T, time.Duration, error) {
	type answer struct {
		value T
		err   error
		took  time.Duration
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, 0, err
	}
	done := make(chan answer, 1)
	go func() {
		start := time.Now()
		v, err := do()
		done <- answer{v, err, time.Since(start)}
	}()
	timer := time.NewTimer(g.limit)
	defer timer.Stop()
	select {
	case a := <-done:
		return a.value, a.took, a.err
	case <-ctx.Done():
		g.lost = true
		return none, 0, ctx.Err()
	case <-timer.C:
		g.lost = true
		return none, 0, &LimitError{Model: g.model, Runtime: g.runtime, Limit: g.limit}
	}
}
