// Package train moves weights.
//
// Train takes a plain network through Weights.Epochs. Loop is what it shares with the search:
// weight steps at the learning rates of a plan, the Position between them, events and
// checkpoints. A Loop reads its samples by Batches, and compiles the programs of a weight step
// once: one for a whole batch, or one that sums gradients over micro-batches and one that
// updates by the sums. Losses stay on the device until an event or a checkpoint needs them.
//
// Errors begin with the stage of the run where there is one (Hooks.Stage), else with
// "search:", as those of the search's other packages do.
package train
