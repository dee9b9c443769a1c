package ops

// AxisRef names one axis of one of a node's inputs or outputs.
type AxisRef struct {
	Out   bool // false: input number Index; true: output number Index
	Index int
	Axis  int // counted from 0; never negative
}

// In and Out build axis references.
func In(input, axis int) AxisRef { return AxisRef{false, input, axis} }

// Out refers to an axis of an output.
func Out(output, axis int) AxisRef { return AxisRef{true, output, axis} }

// Role says what an operator does along an axis.
type Role uint8

// Roles.
const (
	// Carried: positions pass through unchanged (or are moved by a link).
	Carried Role = iota
	// Contracted: positions are summed against the positions of another operand's
	// axis (convolution channels, matrix product inner axes).
	Contracted
	// Born: positions of an output come from positions of a weight's axis (filters).
	Born
	// Normalised: statistics are taken over the axis, so cutting positions changes the
	// others, unless the statistics are weighted (Axes.Weigh).
	Normalised
	// Fixed: the axis must keep its size.
	Fixed
)

// String returns the lower-case name.
func (r Role) String() string {
	return [...]string{"carried", "contracted", "born", "normalised", "fixed"}[r]
}

// Link ties positions of axis A to positions of axis B: they are cut together.
// Nil PairsA and PairsB tie position i to position i over the whole (equal)
// size; otherwise PairsA[k] is tied to PairsB[k]. A link of an axis to itself
// ties positions within it (grouped convolution).
type Link struct {
	A, B           AxisRef
	PairsA, PairsB []int
	Role           Role
}

// Pin says that an axis must keep all its positions, and why.
type Pin struct {
	Ref    AxisRef
	Role   Role // Fixed or Normalised
	Reason string
}

// Axes collects what an operator's axes mean. Axes of inputs and outputs that
// neither a link nor a pin mentions are free only when their size is 1 or when
// they belong to an omitted value; otherwise they are pinned with the reason
// "no rule". Spatial axes of weights (kernels) are pinned by the op and made
// elastic by their own dimension.
type Axes struct {
	Links []Link
	Pins  []Pin
}

// Tie links two axes position by position.
func (a *Axes) Tie(role Role, x, y AxisRef) { a.Links = append(a.Links, Link{A: x, B: y, Role: role}) }

// TiePairs links pa[k] of x with pb[k] of y.
func (a *Axes) TiePairs(role Role, x, y AxisRef, pa, pb []int) {
	a.Links = append(a.Links, Link{A: x, B: y, PairsA: pa, PairsB: pb, Role: role})
}

// TieOffset links positions 0..n-1 of x with positions off..off+n-1 of y.
func (a *Axes) TieOffset(role Role, x, y AxisRef, n, off int) {
	pa, pb := make([]int, n), make([]int, n)
	for i := range n {
		pa[i], pb[i] = i, off+i
	}
	a.TiePairs(role, x, y, pa, pb)
}

// Fix pins an axis.
func (a *Axes) Fix(x AxisRef, reason string) {
	a.Pins = append(a.Pins, Pin{x, Fixed, reason})
}

// Weigh says that statistics over an axis are weighted by its coefficients
// (Lowering.AxisMask): positions of coefficient 0 do not count, as if they were cut.
func (a *Axes) Weigh(x AxisRef) { a.Links = append(a.Links, Link{A: x, B: x, Role: Normalised}) }

// Normalise pins an axis whose statistics are taken over all positions.
func (a *Axes) Normalise(x AxisRef, reason string) {
	a.Pins = append(a.Pins, Pin{x, Normalised, reason})
}
