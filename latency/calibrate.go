package latency

import (
	"fmt"
	"slices"
)

// price puts curves into the prices, with a factor of 1.
func (m *measuring) price(curves map[*class]*Curve) { m.work.price(m.out, curves) }

func (w *work) price(p *Prices, curves map[*class]*Curve) {
	at := map[*class]int{}
	for _, c := range w.classes {
		at[c] = -1
		if curves[c] != nil {
			at[c] = len(p.Classes)
			p.Classes = append(p.Classes, Class{c.kind, 1, curves[c]})
		}
	}
	for i, g := range w.groups {
		var labels []string
		for _, n := range g {
			labels = append(labels, n.Label())
		}
		p.Groups = append(p.Groups, Group{labels, at[w.of[i]]})
	}
}

// Strength of the priors, as squares of the noise of a subnet over the spread of a factor.
const (
	kindRidge  = 0.01
	classRidge = 0.02
)

// calibrated finds the offset and the factors that make of the curves' sums what the
// calibrating subnets took, and predicts the others. Ratios are of both lists.
func (w *work) calibrated(p *Prices, ratios []float64) error {
	if !(p.Original > 0) || len(ratios) != len(w.calibrate)+len(w.check) {
		return fmt.Errorf("latency: want the original's time and those of %d subnets, got %g ms and %d", len(w.calibrate)+len(w.check), p.Original, len(ratios))
	}
	terms, err := p.terms(w.src)
	if err != nil {
		return err
	}
	var x [][]float64
	var y, weight []float64
	n := len(p.Classes)
	sums := func(choice []int) []float64 {
		row := make([]float64, n+1) // last, how many groups there are
		for j, t := range terms {
			row[j] = t.At(choice)
		}
		return row
	}
	for i, c := range w.calibrate {
		ms := ratios[i] * p.Original
		x, y, weight = append(x, sums(c)), append(y, ms), append(weight, 1/(ms*ms))
	}
	// Each step starts from the one before: one scale, then one per kind, then per class. The
	// offset, and what each group pays, are shares of the original.
	share := p.Original / max(float64(len(p.Groups)), 1)
	fold := func(to []int, most int) [][]float64 {
		var out [][]float64
		for _, row := range x {
			sum := make([]float64, most+2)
			sum[0], sum[1] = p.Original, share*row[n]
			for j, v := range row[:n] {
				sum[to[j]+2] += v
			}
			out = append(out, sum)
		}
		return out
	}
	one, kinds, own := make([]int, n), make([]int, n), make([]int, n)
	number := map[string]int{}
	for j, c := range p.Classes {
		if _, ok := number[c.Kind]; !ok {
			number[c.Kind] = len(number)
		}
		kinds[j], own[j] = number[c.Kind], j
	}
	scale := nonNegative(fold(one, 1), y, weight, []float64{1e-3, 1e-3, 1e-6}, []float64{0, 0, 1})
	step := func(to []int, most int, from, prior []float64, strength float64) []float64 {
		ridge := make([]float64, most+2)
		for j := range ridge {
			ridge[j] = strength / max(scale[2]*scale[2], 1e-12)
		}
		ridge[0], ridge[1] = 1e-3, 1e-3
		return nonNegative(fold(to, most), y, weight, ridge, slices.Concat(from[:2], prior))
	}
	byKind := step(kinds, len(number), scale, slices.Repeat([]float64{scale[2]}, len(number)), kindRidge)
	prior := make([]float64, n)
	for j := range prior {
		prior[j] = byKind[kinds[j]+2]
	}
	all := step(own, n, byKind, prior, classRidge)
	p.Offset, p.Each = all[0]*p.Original, all[1]*share
	for j := range p.Classes {
		p.Classes[j].Factor = all[j+2]
	}
	p.Smallest = ratios[1]
	for i, c := range w.check {
		row := sums(c)
		ms := p.Offset + p.Each*row[n]
		for j, v := range row[:n] {
			ms += p.Classes[j].Factor * v
		}
		p.Checks = append(p.Checks, Check{c, ms, ratios[len(w.calibrate)+i] * p.Original})
	}
	return nil
}
