package entangle

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/subnet"
)

// defaultSizes lists what may stand for a size that a model leaves open and nothing gives, in
// the order that they are tried: tables of positions may be shorter.
var defaultSizes = []int{64, 32, 16, 8, 4, 2, 1}

// OpenSizes returns sizes for the named dimensions of inputs behind the batch that dims does
// not give: the largest of 64, 32, … with which the model infers, sums such as "past + 1" by
// their terms. Where a "+ 1" does not fit, it stands for the length of a longer call. None,
// when no such sizes are found.
func (m *Model) OpenSizes(dims map[string]int) map[string]int {
	var open []string
	for _, v := range m.Normal.Graph.Inputs {
		for i, d := range v.Type.Shape {
			if _, given := dims[d.Param]; i > 0 && !d.Known() && d.Param != "" && !given {
				open = append(open, d.Param)
			}
		}
	}
	if len(open) == 0 {
		return nil
	}
	for _, n := range defaultSizes {
		for _, one := range []int{1, n} {
			sizes := map[string]int{}
			for _, name := range open {
				sizes[name] = sizeOf(name, n, one, dims)
			}
			all := maps.Clone(sizes)
			maps.Copy(all, dims)
			if f, err := m.Infer(all); err == nil && placed(f) {
				return sizes
			}
		}
	}
	return nil
}

// sizeOf evaluates a name that may be a sum; n stands for what dims does not give, one for
// the term 1.
func sizeOf(name string, n, one int, dims map[string]int) int {
	sum := 0
	for _, term := range strings.Split(name, "+") {
		term = strings.TrimSpace(term)
		number, err := strconv.Atoi(term)
		given, ok := dims[term]
		switch {
		case ok:
			sum += given
		case err == nil && number == 1:
			sum += one
		case err == nil:
			sum += number
		default:
			sum += n
		}
	}
	return max(sum, 0)
}

// placed reports whether every tensor of known rank has known sizes.
func placed(f *ops.Facts) bool {
	for _, v := range f.Values {
		if v.Type.Rank() > 0 && !v.Type.Static() {
			return false
		}
	}
	return true
}

// CheckDims refuses sizes for dimensions that no input of the models leaves open, by the names that
// Infer, Cut and verification know: those of the file, for an unnamed one INPUT_AXIS or INPUT:AXIS,
// or ops.AnyDim for all of these.
func CheckDims(dims map[string]int, models ...*Model) error {
	var open []string
	known := map[string]bool{ops.AnyDim: true}
	add := func(name string) {
		if !known[name] {
			known[name] = true
			open = append(open, name)
		}
	}
	for _, m := range models {
		for _, g := range []*ir.Graph{m.Normal.Graph, m.Raw.Graph} {
			for _, v := range g.Inputs {
				for axis, d := range v.Type.Shape {
					switch {
					case d.Known():
					case d.Param == "":
						add(subnet.OpenName(v.Name, axis))
						known[fmt.Sprintf("%s:%d", v.Name, axis)] = true
					default:
						add(d.Param)
						for _, term := range strings.Split(d.Param, "+") {
							known[strings.TrimSpace(term)] = true
						}
					}
				}
			}
		}
	}
	for _, name := range sorted(dims) {
		switch {
		case known[name]:
		case len(open) == 0:
			return fmt.Errorf("%q: the inputs leave no size open", name)
		default:
			return fmt.Errorf("%q: want one of the sizes that inputs leave open, %s%s", name, strings.Join(open, ", "), meant(name, open))
		}
	}
	return nil
}

// Symbols says what names of open sizes are not taken as the file has them, "" where all are.
func (m *Model) Symbols() string { return m.symbols }
