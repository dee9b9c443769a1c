// Package depcheck holds the rules of who may import whom, and the test that
// enforces them.
//
//	go test ./internal/depcheck
//
// The arrows of docs/pipeline.md go down the line only: a package may import
// what stands in its own line of Allowed and nothing else of this module, and
// the outside packages named in Guarded may be imported from the listed places
// alone.
package depcheck
