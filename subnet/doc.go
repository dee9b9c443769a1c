// Package subnet turns a decision into a smaller model.
//
// A Recipe is the decision as data: one choice per dimension, with the source
// model's fingerprint. Extract applies it to a fresh import of the source. The
// result has the source's inputs, outputs, names and opsets.
package subnet
