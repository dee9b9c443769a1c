// Package pass drives passes over a model. A pass looks for one thing to change
// and returns it as a patch; the driver applies it, verifies the model, asks
// again, and numbers the patches, so that a bug can be found by bisection
// (Options.MaxPatches).
package pass
