package entangle_test

import (
	"context"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/net"
)

// TestHarmfulRecalibration: statistics that are not the data's belong to what the original
// does: recalibrating them is left out, and said. Those of the data are recalibrated.
func TestHarmfulRecalibration(t *testing.T) {
	for _, scattered := range []bool{true, false} {
		b := runtest.New(t, "resnet20-tiny")
		b.Model = modeltest.Normal(t, "resnet20-tiny", models.Options{Classes: 4, Scatter: scattered})
		b.Set.Classes = nil
		for _, p := range b.Set.Parts {
			p.Labels = nil
		}
		b.Job.Method, b.Job.Tune.Epochs = "uniform", 0
		b.Job.Target[0].Share = 0.9
		if !scattered { // of this data
			n, v := b.Parts(t, 16)
			m, _, err := n.Calibrated(context.Background(), b.Be, v.Both, 40, 1)
			if err != nil {
				t.Fatal(err)
			}
			b.Model = m
		}
		b.Job.Search.Weights.Objective = net.Objective{Distill: 1, Temperature: 1}
		b.Job.Tune.Objective = b.Job.Search.Weights.Objective
		o, err := b.Plan(t).Compress(context.Background(), b.Be, entangle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := o.Candidates[0]
		said := strings.Contains(strings.Join(c.Notes, "\n"), "recalibrated statistics are much worse")
		if said != scattered || (c.Test.Distance.Recalibrated == nil) != scattered {
			t.Errorf("scattered %t: want it left out and said in this case alone, got %v, %+v", scattered, c.Notes, c.Test.Distance)
		}
	}
}
