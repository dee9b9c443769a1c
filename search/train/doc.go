// Package train moves weights: the loop of steps over batches with its learning rate,
// events and checkpoints, which the search shares, and the programs of a weight step.
package train
