package latency

import "math"

// nonNegative minimises Σ w_i (Σ_j x_ij θ_j − y_i)² + Σ_j ridge_j (θ_j − prior_j)² over
// θ ≥ 0, one coordinate after the other.
func nonNegative(x [][]float64, y, w, ridge, prior []float64) []float64 {
	n := len(ridge)
	a, b, theta := make([][]float64, n), make([]float64, n), make([]float64, n)
	for j := range n {
		a[j] = make([]float64, n)
		a[j][j], b[j], theta[j] = ridge[j], ridge[j]*prior[j], prior[j]
	}
	for i, row := range x {
		for j, v := range row {
			if v == 0 {
				continue
			}
			b[j] += w[i] * v * y[i]
			for k, u := range row {
				a[j][k] += w[i] * v * u
			}
		}
	}
	for range 4000 {
		moved := 0.0
		for j := range n {
			if a[j][j] == 0 {
				continue
			}
			r := b[j]
			for k := range n {
				r -= a[j][k] * theta[k]
			}
			next := max(theta[j]+r/a[j][j], 0)
			moved = max(moved, math.Abs(next-theta[j])/(math.Abs(theta[j])+1e-9))
			theta[j] = next
		}
		if moved < 1e-9 {
			break
		}
	}
	return theta
}

// Curve gives the time of a class at any sizes: a sum of features with coefficients that are
// not negative, corrected by what the nearest measured sizes took beside it.
type Curve struct {
	Coef   features     `json:"coef"`
	Points []CurvePoint `json:"points"`
}

// CurvePoint is a measured size.
type CurvePoint struct {
	At features `json:"at"`
	MS float64  `json:"ms"`
}

// fit makes a curve of measured points, of which there is at least one.
func fit(points []CurvePoint) *Curve {
	var top features
	for _, p := range points {
		for j, v := range p.At {
			top[j] = max(top[j], v)
		}
	}
	var x [][]float64
	var y, w []float64
	for _, p := range points {
		row := make([]float64, len(top))
		for j, v := range p.At {
			if top[j] > 0 {
				row[j] = v / top[j]
			}
		}
		x, y, w = append(x, row), append(y, p.MS), append(w, 1/(p.MS*p.MS))
	}
	c := &Curve{Points: points}
	most := 0.0
	for _, v := range y {
		most = max(most, v)
	}
	ridge, prior := make([]float64, len(top)), make([]float64, len(top))
	for j := range ridge {
		ridge[j] = 1e-4 / (most * most)
	}
	theta := nonNegative(x, y, w, ridge, prior)
	for j := range top {
		if top[j] > 0 {
			c.Coef[j] = theta[j] / top[j]
		}
	}
	return c
}

func (c *Curve) linear(f features) float64 {
	v := 0.0
	for j := range f {
		v += c.Coef[j] * f[j]
	}
	return v
}

// at is the time at a size. At a measured one it is what was measured.
func (c *Curve) at(f features) float64 {
	base := max(c.linear(f), 1e-6)
	sum, weight := 0.0, 0.0
	for _, p := range c.Points {
		d := 0.0
		for j := 1; j < len(f); j++ {
			u := math.Log((f[j] + 1) / (p.At[j] + 1))
			d += u * u
		}
		w := 1 / (d*d + 1e-9)
		sum += w * math.Log(p.MS/max(c.linear(p.At), 1e-6))
		weight += w
	}
	if weight > 0 {
		base *= math.Exp(sum / weight)
	}
	return base
}
