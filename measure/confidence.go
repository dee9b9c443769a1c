package measure

import "math"

// surest returns the largest probability of one row of outputs, of which Row gave the loss.
func surest[F float32 | float64](row []F, label int, loss float64, k Kind) float64 {
	top, own := float64(row[Largest(row)]), float64(row[label])
	if k == Probabilities {
		return top / math.Exp(loss+math.Log(max(own, math.SmallestNonzeroFloat32)))
	}
	return math.Exp(top - own - loss)
}
