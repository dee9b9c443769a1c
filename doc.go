// Package entangle makes pretrained ONNX models smaller by architecture search over
// weight-entangled choice blocks (TangleNAS). It is the whole line, for a Go program and for
// the command line alike.
//
// A Job is everything that a run is made of. DefaultJob has a value for every setting; job
// files, Job.Set and the command line know a setting by the same key. Open reads the job's
// model and data, or Prepare takes those that are open already; both check the job, all
// faults at once, and give a Plan, which has cost nothing yet and says what the space can
// reach. Plan.Run searches, cuts, recalibrates, tunes, writes and verifies, and gives an
// Outcome. Plan.Search stops at a recipe; Training is a job without a search.
//
// The steps are packages of their own, usable by themselves: importer, space, search (with
// net, train and decide below it), subnet, exporter. See the examples of Plan.Run and
// Model.Extract.
package entangle
