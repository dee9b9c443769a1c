package enginetest

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/engine/prim"
)

// Tolerance bounds |got - want| by Abs + Rel·|want|.
type Tolerance struct{ Abs, Rel float64 }

// Check returns an error that names the worst element when got is not want within
// tol, or when types differ. NaN equals NaN, infinities equal themselves, zeros
// of either sign are equal; integers and booleans must agree exactly.
func Check(got, want *prim.Tensor, tol Tolerance) error {
	if got == nil || want == nil {
		return fmt.Errorf("want a tensor, got %v (reference %v)", got, want)
	}
	if !got.Type.Equal(want.Type) {
		return fmt.Errorf("type: want %s, got %s", want.Type, got.Type)
	}
	if err := got.Check(); err != nil {
		return err
	}
	worst, at, bad := 0.0, -1, 0
	for i := range want.Len() {
		excess := 0.0
		if want.DType.Float() {
			excess = distance(got.Float(i), want.Float(i), tol)
		} else if got.Int(i) != want.Int(i) {
			excess = math.Inf(1)
		}
		if excess > 1 {
			bad++
		}
		if excess > worst {
			worst, at = excess, i
		}
	}
	if bad == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d elements differ; the worst is element %d: want %v, got %v (%.3g times the tolerance)", bad, want.Len(), at, want.Float(at), got.Float(at), worst)
}

// distance is |got - want| in units of the tolerance.
func distance(got, want float64, tol Tolerance) float64 {
	switch {
	case got == want || (got != got && want != want):
		return 0
	case got != got || want != want || math.IsInf(got, 0) || math.IsInf(want, 0):
		return math.Inf(1)
	}
	return math.Abs(got-want) / (tol.Abs + tol.Rel*math.Abs(want))
}
