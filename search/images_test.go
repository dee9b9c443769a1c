package search

import (
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/search/net"
)

// imagesFor draws images of the classes and the size that a network takes.
func imagesFor(t *testing.T, n *net.Network, train, test int) *data.Set {
	t.Helper()
	image := n.Facts.Values[n.Inputs[0]].Shape()
	set, err := data.Synthetic(data.SyntheticOptions{Classes: n.Classes, Shape: [3]int{image[1], image[2], image[3]}, Train: train, Test: test, Noise: 0.1, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// halves splits a set's training part into one half for the weights and one for α.
func halves(t *testing.T, set *data.Set) *Views {
	t.Helper()
	views, err := Splits{Weights: .5, Alpha: .5}.View(set, 1)
	if err != nil {
		t.Fatal(err)
	}
	return views
}
