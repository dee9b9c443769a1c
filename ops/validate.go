package ops

import (
	"errors"
	"fmt"
	"strings"

	"github.com/entangle-nas/entangle/ir"
)

// Validate checks a list of operators: named, documented in one line, unique,
// complete (Infer, Lower and Axes present). It reports every fault.
func Validate(list []*Op) error {
	var errs []error
	seen := map[string]bool{}
	for i, o := range list {
		fault := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("ops: operator %d %q: %w", i, o.Name, fmt.Errorf(format, args...)))
		}
		if o.Name == "" {
			fault("name: want one, got none")
		}
		if o.Domain != ir.NormalDomain(o.Domain) {
			fault("domain: want \"\" for the default domain, got %q", o.Domain)
		}
		key := o.Domain + "." + o.Name
		if seen[key] {
			fault("name: want it once in the list")
		}
		seen[key] = true
		if o.Doc == "" || strings.Contains(o.Doc, "\n") {
			fault("doc: want one line, got %q", o.Doc)
		}
		if o.Since < 1 {
			fault("since: want an opset version ≥ 1, got %d", o.Since)
		}
		if o.Infer == nil {
			fault("infer: want a rule")
		}
		if o.Lower == nil {
			fault("lower: want a rule")
		}
		if o.Axes == nil {
			fault("axes: want a rule")
		}
	}
	return errors.Join(errs...)
}
