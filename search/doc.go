// Package search is the architecture loop.
//
// Run alternates architecture steps on one split with weight steps on a disjoint one
// (TangleNAS, Algorithm 1), with a cost term whose multiplier adapts until the budget is met.
// The architecture's parameters are tiny vectors that live on the host in float64 (package
// relax); engines see coefficients as inputs. Package train moves the weights, package net
// makes programs of the network, package decide picks a subnet from what the search found.
package search
