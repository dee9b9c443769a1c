// Package net is a model as programs that an engine runs.
//
// A Network is a model prepared to run at one batch size, plain or entangled. It lowers to
// a prim.Builder, takes an Objective as its loss, and a Feed brings batches of a data set to
// its inputs, the teacher's outputs included. Evaluate scores it on labels, Compare measures
// how far its outputs are from the original's, Order ranks the units of a space by what the
// loss makes of them, and Vertices compares subnets of a supernet.
//
// NewNetworkOn makes a network for a data set: open dimensions take the samples' sizes, and
// with a label at every position (streams of tokens) losses and scores are means over
// positions.
//
// Errors begin with "search:" and the step or value that is at fault: which room of the
// search found it tells the user nothing.
package net
