// Package search trains supernets and plain networks, and decides.
//
// A Network is a model prepared to run at one batch size, plain or entangled; it
// builds programs (forward, weight step, architecture step) and an engine runs
// them. Search alternates architecture steps on one split with weight steps on a
// disjoint one (TangleNAS, Algorithm 1), with a cost term whose multiplier adapts
// until the budget is met. Train is the same loop without architecture: base
// models and fine-tuning. Compress is the whole line.
//
// NewNetworkOn makes a network for a data set: open dimensions take the samples'
// sizes, and with a label at every position (streams of tokens) losses and scores
// are means over positions.
//
//	res, err := search.Run(ctx, net, search.Config{…})
//	choice, err := search.Choose(res.LogProb, cost, budget)
//
// The architecture's parameters are tiny vectors that live on the host in
// float64 (package relax); engines see coefficients as inputs.
package search
