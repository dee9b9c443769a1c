package latency

import (
	"math"
	"slices"
)

// Check is a subnet that was predicted and measured, in milliseconds.
type Check struct {
	Choice    []int   `json:"choice"`
	Predicted float64 `json:"predicted_ms"`
	Measured  float64 `json:"measured_ms"`
}

// Error is the prediction's relative error.
func (c Check) Error() float64 { return c.Predicted/c.Measured - 1 }

// Quality is how good the prediction is.
type Quality struct {
	Median float64 `json:"median_error"` // of the relative errors' sizes
	P90    float64 `json:"p90_error"`
	Worst  float64 `json:"worst_error"`
	Rank   float64 `json:"rank_correlation"` // Spearman's
}

// Quality judges the prediction by the subnets that it was not calibrated on.
func (p *Prices) Quality() Quality {
	var errs, a, b []float64
	for _, c := range p.Checks {
		errs = append(errs, math.Abs(c.Error()))
		a, b = append(a, c.Predicted), append(b, c.Measured)
	}
	if errs == nil {
		return Quality{}
	}
	slices.Sort(errs)
	at := int(math.Ceil(0.9*float64(len(errs)))) - 1
	return Quality{median(errs), errs[max(at, 0)], errs[len(errs)-1], correlation(ranks(a), ranks(b))}
}

func ranks(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		for j, y := range v {
			if y < x || y == x && j < i {
				out[i]++
			}
		}
	}
	return out
}

func correlation(a, b []float64) float64 {
	n := float64(len(a))
	var sa, sb, saa, sbb, sab float64
	for i := range a {
		sa, sb, saa, sbb, sab = sa+a[i], sb+b[i], saa+a[i]*a[i], sbb+b[i]*b[i], sab+a[i]*b[i]
	}
	d := math.Sqrt((saa - sa*sa/n) * (sbb - sb*sb/n))
	if d == 0 {
		return 0
	}
	return (sab - sa*sb/n) / d
}
