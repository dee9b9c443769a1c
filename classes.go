package entangle

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/search/net"
)

// CheckClasses compares the classes of a set with the columns of the output that they are for:
// more are an error, fewer of a folder of classes a warning, which is "" else. Labels that are
// for no output are neither.
func (m *Model) CheckClasses(set *data.Set, means net.Settings) (warning string, err error) {
	out, err := net.ScoredOn(m.Normal, set, m.Means(means))
	if err != nil {
		return "", nil
	}
	have, outputs := len(set.Classes), out.Classes
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
