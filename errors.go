package entangle

import (
	"errors"
	"fmt"
	"strings"

	"github.com/entangle-nas/entangle/internal/keys"
)

// JobError is a job that cannot be run: all that is wrong with it, each fault with its key.
type JobError struct{ Faults []error }

// Error lists the faults, one a line.
func (e *JobError) Error() string {
	var lines []string
	for _, f := range e.Faults {
		lines = append(lines, f.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults.
func (e *JobError) Unwrap() []error { return e.Faults }

// ModelError is a model that could be opened but not understood, or that has something that
// the line cannot work on.
type ModelError struct{ Err error }

// Error is the error of the model.
func (e *ModelError) Error() string { return e.Err.Error() }

// Unwrap returns it.
func (e *ModelError) Unwrap() error { return e.Err }

// faults collects what is wrong with a job.
type faults []error

// add notes a fault of a key; a nil error is none.
func (f *faults) add(key string, err error) {
	if err != nil {
		*f = append(*f, &keyed{key, err})
	}
}

func (f *faults) addf(key, format string, a ...any) { f.add(key, fmt.Errorf(format, a...)) }

// has reports whether a key has a fault.
func (f faults) has(key string) bool {
	for _, e := range f {
		var k *keyed
		var g *keys.Fault
		if errors.As(e, &k) && k.key == key || errors.As(e, &g) && g.Key == key {
			return true
		}
	}
	return false
}

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return &JobError{f}
}

// keyed is an error under a key.
type keyed struct {
	key string
	err error
}

func (k *keyed) Error() string { return k.key + ": " + k.err.Error() }
func (k *keyed) Unwrap() error { return k.err }
