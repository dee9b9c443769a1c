// Package nettest builds networks, data and helpers for the tests of package search and
// what is below it.
package nettest
