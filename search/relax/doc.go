// Package relax turns architecture parameters into coefficients of choices.
//
// One vector α belongs to one elastic dimension and has one entry per choice. A
// Relaxation draws coefficients from it that sum to 1, and carries a gradient
// with respect to the coefficients back to α:
//
//	r, err := relax.ByName("drnas")
//	alpha := relax.Init(4, rng.New(seed, "search/alpha"))
//	coef, back := r.Sample(alpha, rng.New(seed, "search/relax"), progress)
//	… loss and its gradient dcoef …
//	dalpha := back(dcoef)
//	choice := relax.Argmax(alpha)
//
// Everything here is float64 on the host: the vectors are tiny. The formulas
// are those of Sukthanker et al., "Weight-Entanglement Meets Gradient-Based
// Neural Architecture Search" (AutoML-Conf 2024), and the papers it builds on.
package relax
