package entangle

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/data"
)

// Classes returns the columns of the model's first output when that is [batch, columns] with
// more than one, else 0.
func (m *Model) Classes() int {
	f, err := m.Infer(nil)
	if err != nil {
		return 0
	}
	shape := f.Values[m.Normal.Graph.Outputs[0].Name].Type.Sizes()
	if len(shape) != 2 || shape[1] < 2 {
		return 0
	}
	return shape[1]
}

// CheckClasses compares the classes of a set with the columns of the model's first output:
// more are an error, fewer of a folder of classes a warning, which is "" else.
func (m *Model) CheckClasses(set *data.Set) (warning string, err error) {
	have, outputs := len(set.Classes), m.Classes()
	switch {
	case have == 0 || outputs == 0 || set.LabelShape != nil || have == outputs:
		return "", nil
	case have > outputs:
		return "", fmt.Errorf("data: %s: want at most the model's %d classes, got %d%s", set.Spec, outputs, have, listed(set.Classes))
	case set.ByName:
		return fmt.Sprintf("the data has %d classes, the model %d: the folders are numbered in the order of their names (%s), so every class behind a missing one has a wrong number; a file with the model's classes, one a line, sets that right (--classes FILE)", have, outputs, classNames(set.Classes)), nil
	case set.Options().Classes != "":
		return fmt.Sprintf("%s lists %d classes, the model has %d: %s", set.Options().Classes, have, outputs, classNames(set.Classes)), nil
	}
	return "", nil
}

// listed is classNames behind a colon; nothing where the names are the numbers.
func listed(names []string) string {
	for i, n := range names {
		if n != strconv.Itoa(i) {
			return ": " + classNames(names)
		}
	}
	return ""
}

// classNames lists names with their numbers, of many the first and the last.
func classNames(names []string) string {
	var out []string
	for i, n := range names {
		switch {
		case i < 12 || i == len(names)-1:
			out = append(out, fmt.Sprintf("%d %s", i, n))
		case i == 12:
			out = append(out, "…")
		}
	}
	return strings.Join(out, ", ")
}
