package space_test

import (
	"testing"

	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/space"
)

// TestMetrics: every metric is named once, documented and priced.
func TestMetrics(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range space.Metrics {
		if m.Name == "" || m.Title == "" || m.Doc == "" || m.Sums == nil || seen[m.Name] {
			t.Errorf("metric %q: want a name of its own, a doc and pieces, got %+v", m.Name, m)
		}
		seen[m.Name] = true
		if got, err := space.MetricByName(m.Name); err != nil || got.Name != m.Name {
			t.Errorf("metric %q: got %q, %v", m.Name, got.Name, err)
		}
	}
}

// TestMetricUnknown: an unknown metric is an error that lists the known ones, the
// nearest word first.
func TestMetricUnknown(t *testing.T) {
	an := analysed(t, "knot", models.Options{})
	net := entangled(t, an, offered(t, an, space.Options{Divisor: 1}), space.Every)
	for word, want := range map[string]string{
		"parms": `space: metric "parms": want one of [params macs bytes peak]`,
		"byte":  `space: metric "byte": want one of [bytes macs peak params]`,
	} {
		if _, err := net.Cost(word); err == nil || err.Error() != want {
			t.Errorf("want %s, got %v", want, err)
		}
		if _, err := space.MetricByName(word); err == nil || err.Error() != want {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}
