package entangle_test

import (
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/search/net"
)

func TestSuspect(t *testing.T) {
	for _, c := range []struct {
		name  string
		score *net.Score
		says  string
	}{
		{"none", nil, ""},
		{"good", &net.Score{Samples: 500, Classes: 10, Accuracy: 0.9, Confidence: 0.95}, ""},
		{"unsure", &net.Score{Samples: 500, Classes: 10, Accuracy: 0.9, Confidence: 0.3}, ""},
		{"weak but honest", &net.Score{Samples: 500, Classes: 10, Accuracy: 0.4, Confidence: 0.6}, ""},
		{"chance", &net.Score{Samples: 500, Classes: 10, Accuracy: 0.11, Confidence: 0.2}, "right on 11.0 % of 500 samples, which is chance with 10 classes: are the classes numbered as the model numbers them (--classes FILE), and the inputs normalised as in its training"},
		{"worse than chance", &net.Score{Samples: 500, Classes: 2, Accuracy: 0.1, Confidence: 0.9}, "which is chance with 2 classes"},
		{"renumbered", &net.Score{Samples: 500, Classes: 10, Accuracy: 0.4, Confidence: 0.93}, "right on 40.0 % of 500 samples, and gives its answers a probability of 93.0 %"},
		{"too few", &net.Score{Samples: 19, Classes: 10, Accuracy: 0, Confidence: 0.93}, ""},
		{"no confidence known", &net.Score{Samples: 500, Classes: 10, Accuracy: 0.1}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := entangle.Suspect(c.score); c.says == "" && got != "" || !strings.Contains(got, c.says) {
				t.Errorf("want %q, got %q", c.says, got)
			}
		})
	}
}
