package ops_test

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/ops"
)

func TestAllOperatorsAreValid(t *testing.T) {
	if err := ops.Validate(ops.All()); err != nil {
		t.Fatal(err)
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	good := *ops.Lookup("", "Reshape")
	twice, undocumented, halfDone := good, good, good
	undocumented.Name, undocumented.Doc = "A", ""
	halfDone.Name, halfDone.Axes, halfDone.Lower, halfDone.Infer, halfDone.Since = "B", nil, nil, nil, 0
	err := ops.Validate([]*ops.Op{&good, &twice, &undocumented, &halfDone})
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{
		`operator 1 "Reshape": name: want it once`, `operator 2 "A": doc`, `operator 3 "B": since`, `"B": infer`, `"B": lower`, `"B": axes`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in:\n%v", want, err)
		}
	}
}
