// Package decide picks a subnet within a budget: from scores per choice (Choose, Spend), by
// one ratio everywhere (Uniform), at random (RandomChoice), or by measuring subnets (Refine,
// Evolve). It knows a space, a cost and a function that gives the loss of a choice; no engine.
//
// A choice holds an index into the choices of every dim of the space, in its order; scores
// and coefficients have a row per dim with an entry per choice. Errors begin with "search:",
// the stage that the user knows.
package decide
