// Package workloads builds the training steps that the engine is timed on.
//
// All lists two convolutional networks, a vision transformer and a language model,
// and entangled supernets; Large lists networks for GPUs. Each is float32, on synthetic
// images or tokens. A step is forward, cross-entropy, backward and update:
//
//	base       stochastic gradient descent, rate 0.01, momentum 0.9
//	supernet   one architecture step (Adam, rate 3e-4, β 0.5 and 0.999, L2 decay 1e-3)
//	           on one batch, then one weight step on another
//
// Batch normalisation is in training mode and moves its running statistics with
// momentum 0.1. Coefficients are the softmax of α and multiply weights as masks.
// Sizes, initial distributions and the order of operations are those of the same
// networks written for other frameworks, so that times can be compared. Matrix products
// stand beside them.
package workloads
