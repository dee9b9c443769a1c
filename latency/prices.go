package latency

import (
	"encoding/json"
	"fmt"
)

// Name is the metric's.
const Name = "latency"

// Unit is the metric's.
const Unit = "ms"

// Prices are the times of a source's subnets on a runtime.
type Prices struct {
	Source    string `json:"source"` // fingerprint of the model
	Runtime   string `json:"runtime"`
	Threads   int    `json:"threads,omitempty"` // 0: not known
	Processor string `json:"processor,omitempty"`
	Batch     int    `json:"batch"`
	// Original is the original's time, undisturbed, in milliseconds; Smallest is what the
	// smallest subnet took of it, 0 where it was not measured.
	Original float64 `json:"original_ms"`
	Smallest float64 `json:"smallest_ratio"`
	// Noise is how far the original is from itself, the largest of all comparisons.
	Noise   float64 `json:"noise"`
	Offset  float64 `json:"offset_ms"` // paid by every subnet
	Each    float64 `json:"each_ms"`   // paid for every group that a subnet has, beside its curve
	Classes []Class `json:"classes"`
	Groups  []Group `json:"groups"`
	Checks  []Check `json:"checks"`
	// Timed counts the pieces and subnets behind the prices, New those that were not in the cache.
	Timed int `json:"timed"`
	New   int `json:"new"`
}

// Class is the price of groups of nodes that do the same.
type Class struct {
	Kind   string  `json:"kind"`
	Factor float64 `json:"factor"` // of the curve, in a whole subnet
	Curve  *Curve  `json:"curve"`
}

// Group is a set of nodes that the runtime runs as one.
type Group struct {
	Nodes []string `json:"nodes"` // labels
	Class int      `json:"class"` // index; -1: it is not timed and costs nothing
}

// Marshal writes prices as JSON.
func (p *Prices) Marshal() ([]byte, error) { return json.Marshal(p) }

// Unmarshal reads what Marshal wrote.
func Unmarshal(text []byte) (*Prices, error) {
	p := &Prices{}
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("latency: prices: %w", err)
	}
	return p, nil
}
