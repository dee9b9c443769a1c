// Package measure scores classifiers: one Sum takes outputs from whatever computed them,
// and gives a Score.
//
//	sum := measure.Sum{Kind: measure.Probabilities}
//	err := measure.Add(&sum, outputs, classes, labels)
//	score, err := sum.Score()
package measure
