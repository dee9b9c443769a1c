// Package latency prices subnets in the time that a runtime takes for them.
//
// A runtime runs some nodes as one (a convolution with its normalisation and activation), so
// the pieces of the price are such groups. Each is cut out of subnets at a grid of its sizes and
// timed alone; a model fitted to the times gives those of all other sizes. Whole random
// subnets, timed turn by turn with the original, then say how the pieces add up, and others tell
// how far the sum is off.
//
//	prices, err := latency.Measure(ctx, source, latency.Options{Runtime: rt})
//	net.Metrics = append(net.Metrics, prices.Metric(source))
//
// Times are in milliseconds of one run. Everything that was timed is kept in a file as soon
// as it is known: what is interrupted goes on from there.
package latency
