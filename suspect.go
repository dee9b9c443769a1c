package entangle

import (
	"fmt"
	"math"

	"github.com/entangle-nas/entangle/search/net"
)

// Few samples say nothing of a model; a confidence so far above the accuracy says that
// something is wrong.
const (
	fewSamples = 20
	overSure   = 0.3
)

// Suspect says why a model's score on labelled samples looks as if the data did not reach it as
// in its training: it is right as often as by chance, or far more seldom than its own
// probabilities say. "" is neither, or a score that is not of classes.
func Suspect(s *net.Score) string {
	if s == nil || s.Confidence == 0 || s.Classes < 2 || s.Samples < fewSamples {
		return ""
	}
	const ask = "are the classes numbered as the model numbers them (--classes FILE), and the inputs normalised as in its training (--mean, --std, --scale)?"
	n, chance := float64(s.Samples), 1/float64(s.Classes)
	switch {
	case s.Accuracy <= chance+2*math.Sqrt(chance*(1-chance)/n):
		return fmt.Sprintf("the model is right on %.1f %% of %d samples, which is chance with %d classes: %s", 100*s.Accuracy, s.Samples, s.Classes, ask)
	case s.Confidence-s.Accuracy-2*math.Sqrt(s.Accuracy*(1-s.Accuracy)/n) > overSure:
		return fmt.Sprintf("the model is right on %.1f %% of %d samples, and gives its answers a probability of %.1f %%: %s", 100*s.Accuracy, s.Samples, 100*s.Confidence, ask)
	}
	return ""
}
