package pass

import (
	"fmt"

	"github.com/entangle-nas/entangle/ir"
)

// Pass changes a model step by step.
type Pass struct {
	Name string
	Doc  string // one line
	// Next returns the next patch, nil when nothing is left to do. It does not
	// change the model and does not loop.
	Next func(*ir.Model) (*ir.Patch, error)
}

// Step is one patch that was applied.
type Step struct {
	N     int // from 1
	Pass  string
	Title string
}

// Options change how passes run.
type Options struct {
	MaxPatches int        // stop after so many patches; 0 means no limit
	Verify     bool       // run ir.Verify after every patch
	Log        func(Step) // called after every patch; may be nil
}

// endless is the number of patches after which a pass is taken to undo its own work.
const endless = 10_000

// Run applies each pass until it has nothing left, and the whole list again until
// no pass has. Steps lists what was applied, also when an error ends the run.
func Run(m *ir.Model, passes []Pass, o Options) ([]Step, error) {
	var steps []Step
	for {
		before := len(steps)
		for _, p := range passes {
			for n := 0; ; n++ {
				if o.MaxPatches > 0 && len(steps) >= o.MaxPatches {
					return steps, nil
				}
				patch, err := p.Next(m)
				if err != nil {
					return steps, fmt.Errorf("pass %s: %w", p.Name, err)
				}
				if patch.Empty() {
					break
				}
				if n >= endless {
					return steps, fmt.Errorf("pass %s: %d patches and no end (the last: %s)", p.Name, n, patch.Title)
				}
				s := Step{N: len(steps) + 1, Pass: p.Name, Title: patch.Title}
				if err := patch.Apply(m); err != nil {
					return steps, fmt.Errorf("pass %s: patch %d: %w", p.Name, s.N, err)
				}
				if o.Verify {
					if err := ir.Verify(m); err != nil {
						return steps, fmt.Errorf("pass %s: patch %d (%s): the model is broken: %w", p.Name, s.N, s.Title, err)
					}
				}
				steps = append(steps, s)
				if o.Log != nil {
					o.Log(s)
				}
			}
		}
		if len(steps) == before {
			return steps, nil
		}
	}
}

// Validate reports a list with a pass that has no name, doc or function, or a name that is there twice.
func Validate(passes []Pass) error {
	seen := map[string]bool{}
	for i, p := range passes {
		if p.Name == "" || p.Doc == "" || p.Next == nil {
			return fmt.Errorf("pass %d %q: want a name, a doc line and a function", i, p.Name)
		}
		if seen[p.Name] {
			return fmt.Errorf("pass %q: listed twice", p.Name)
		}
		seen[p.Name] = true
	}
	return nil
}
