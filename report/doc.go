// Package report writes what a run did: a log of JSON lines, tables, progress on
// a terminal, and one HTML page with plots that needs nothing beside it.
// HTML makes the page of the records of a log.
package report
