// Package decide picks a subnet within a budget: from scores per choice (Choose, Spend), by
// one ratio everywhere (Uniform), at random (RandomChoice), or by measuring subnets (Refine,
// Evolve). It knows a space, a cost and a function that gives the loss of a choice; no engine.
package decide
