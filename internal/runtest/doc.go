// Package runtest prepares whole jobs on tiny models for tests.
package runtest
