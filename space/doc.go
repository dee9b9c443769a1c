// Package space finds what may change in a model and turns it into a search space.
//
// Analyse follows every axis through the graph by the operators' own axis rules
// and partitions positions into classes that are only ever cut together. Classes
// on the same set of axes form a Group: the units of one width. A Dim is one
// decision (a width, a kernel size, whether a block stays) with its ordered
// Choices, the last being the original. A Space is a list of dims, written as
// space.yaml, read back and edited by hand. Entangle turns model and space into a
// Supernet: every weight w becomes w ⊙ mask(coefficients), one forward pass
// whatever the number of choices. A Metric prices its subnets: Costs gives the price of
// each, and of a distribution over them with its gradient.
//
// Units are never moved: a width's choice keeps the first k units of its
// importance order, wherever they stand (Order in space.yaml).
package space
