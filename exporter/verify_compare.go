package exporter

import (
	"fmt"
	"math"
	"slices"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
)

// OutputReport compares one output over all batches.
type OutputReport struct {
	Name     string `json:"name"`
	Type     string `json:"type"` // of the first batch
	Elements int    `json:"elements"`
	// MaxAbs is the largest |a−b|; MaxRel the largest |a−b| / max(|a|, |b|), 0 where
	// both are 0; Peak the largest |a|. Elements that are not finite on either side
	// count in NonFinite instead when they differ, and nowhere when they are equal.
	MaxAbs    float64 `json:"max_abs"`
	MaxRel    float64 `json:"max_rel"`
	Peak      float64 `json:"peak"`
	Scale     float64 `json:"scale"` // the largest of the batches' scales, see Tolerance
	NonFinite int     `json:"non_finite"`
	Exceeding int     `json:"exceeding"` // elements beyond the tolerance, differing non-finite ones included
	// Resized counts the batches in which the sides gave other sizes, as a choice of boxes does.
	// Where differences are informative such a batch is left out, else it is an error.
	Resized int   `json:"resized,omitempty"`
	Top1    *Top1 `json:"top1,omitempty"`
}

// Top1 counts the rows in which both sides have their largest element at the
// same place. Rows are the last axis of outputs of rank 2 with two or more columns.
type Top1 struct {
	Rows      int     `json:"rows"`
	Equal     int     `json:"equal"`
	Agreement float64 `json:"agreement"`
}

type comparison struct {
	part    Part
	tol     Tolerance
	loose   bool // other sizes are counted
	outputs []OutputReport
}

// newComparison compares the outputs of g with what a candidate has of them.
func newComparison(g *ir.Graph, part Part, tol Tolerance, loose bool) *comparison {
	c := &comparison{part: part, tol: tol, loose: loose}
	for _, v := range g.Outputs {
		c.outputs = append(c.outputs, OutputReport{Name: v.Name})
	}
	return c
}

func (c *comparison) add(a, b map[string]*ir.Tensor) error {
	for i := range c.outputs {
		r := &c.outputs[i]
		ta, tb := a[r.Name], b[r.Name]
		if ta == nil || tb == nil {
			return fmt.Errorf("verify: output %q: want a tensor from both sides, got none from one", r.Name)
		}
		ta, err := c.part.take(ta)
		if err != nil {
			return fmt.Errorf("verify: output %q: %w", r.Name, err)
		}
		if c.loose && ta.DType == tb.DType && len(ta.Dims) == len(tb.Dims) && !slices.Equal(ta.Dims, tb.Dims) {
			r.Resized++
			if r.Type == "" {
				r.Type = ta.Type().String()
			}
			continue
		}
		if ta.DType != tb.DType || !slices.Equal(ta.Dims, tb.Dims) {
			return fmt.Errorf("verify: output %q: want %s, got %s", r.Name, ta.Type(), tb.Type())
		}
		va, err := ta.Float64s()
		if err != nil {
			return fmt.Errorf("verify: output %q: %w", r.Name, err)
		}
		vb, err := tb.Float64s()
		if err != nil {
			return fmt.Errorf("verify: output %q: %w", r.Name, err)
		}
		if r.Type == "" {
			r.Type = ta.Type().String()
		}
		tol := c.tol
		switch {
		case ta.DType.IsFloat():
		case ta.DType.Bits() == 8 && ta.DType != ir.Bool:
			tol = Tolerance{Abs: 1} // a step of quantised numbers
		default:
			tol = Tolerance{}
		}
		r.add(va, vb, tol)
		if len(ta.Dims) == 2 && ta.Dims[1] > 1 && ta.DType.IsFloat() {
			r.rows(va, vb, ta.Dims[1])
		}
	}
	return nil
}

func (r *OutputReport) add(a, b []float64, tol Tolerance) {
	r.Elements += len(a)
	s := scale(a)
	r.Scale = max(r.Scale, s)
	for i, x := range a {
		y := b[i]
		if !finite(x) || !finite(y) {
			if x != y && !(math.IsNaN(x) && math.IsNaN(y)) {
				r.NonFinite++
				r.Exceeding++
			}
			continue
		}
		d := math.Abs(x - y)
		if d > tol.Abs+tol.Rel*max(math.Abs(x), s) {
			r.Exceeding++
		}
		r.MaxAbs = max(r.MaxAbs, d)
		r.Peak = max(r.Peak, math.Abs(x))
		if d > 0 {
			r.MaxRel = max(r.MaxRel, d/max(math.Abs(x), math.Abs(y)))
		}
	}
}

// scaleSamples bounds the elements that a scale is taken from.
const scaleSamples = 1 << 16

// scale is the median size of the finite elements that are not 0; 0 when there are none. Of
// large tensors it takes elements evenly.
func scale(a []float64) float64 {
	var sizes []float64
	step := max(len(a)/scaleSamples, 1)
	for i := 0; i < len(a); i += step {
		if x := math.Abs(a[i]); x > 0 && finite(x) {
			sizes = append(sizes, x)
		}
	}
	if len(sizes) == 0 {
		return 0
	}
	slices.Sort(sizes)
	return sizes[len(sizes)/2]
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func (r *OutputReport) rows(a, b []float64, width int) {
	if r.Top1 == nil {
		r.Top1 = &Top1{}
	}
	for i := 0; i+width <= len(a); i += width {
		r.Top1.Rows++
		if measure.Largest(a[i:i+width]) == measure.Largest(b[i:i+width]) {
			r.Top1.Equal++
		}
	}
	if r.Top1.Rows > 0 {
		r.Top1.Agreement = float64(r.Top1.Equal) / float64(r.Top1.Rows)
	}
}
