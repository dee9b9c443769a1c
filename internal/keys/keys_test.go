package keys_test

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/internal/keys"
)

type word string

type rule struct {
	Rate   float64  `json:"lr" doc:"learning rate" want:">0"`
	Share  float64  `json:"share" want:"[0,1]"`
	Smooth float32  `json:"smooth,omitempty" want:"[0,1)"`
	Warmup *float64 `json:"warmup" doc:"rise" unit:"epochs" want:">=0"`
}

type common struct {
	Seed uint64 `json:"seed"`
	Name string `json:"name" want:"nonempty"`
}

// settings has a key of every type.
type settings struct {
	common
	Tune   rule `json:"tune" doc:"training of the subnet"`
	Search struct {
		Weights rule      `json:"weights"`
		Kind    word      `json:"kind" oneof:"kind"`
		Kinds   []string  `json:"kinds" oneof:"kind" want:"nonempty"`
		Means   []float64 `json:"means" want:"(0,1]"`
	} `json:"search"`
	On     bool    `json:"on"`
	Steps  int     `json:"steps" want:"<=100"`
	Far    int64   `json:"far"`
	Sizes  []int   `json:"sizes" want:">=0"`
	Maybe  *bool   `json:"maybe"`
	Text   *string `json:"text"`
	Pair   pair    `json:"pair"`
	Target target  `json:"target"`
	Memory *pair   `json:"memory"`
	Hidden int     `json:"-"`
	Watch  func()  `json:"watch"`
	Any    fmt.Stringer
	inner  int
}

var lists = keys.Lists{"kind": func() []string { return []string{"drnas", "darts", "gdas"} }}

// pair is a type with a text of its own.
type pair struct{ high, wide int }

func (p pair) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%dx%d", p.high, p.wide), nil }

func (p *pair) UnmarshalText(b []byte) error {
	h, w, ok := strings.Cut(string(b), "x")
	var errH, errW error
	p.high, errH = strconv.Atoi(h)
	p.wide, errW = strconv.Atoi(w)
	if !ok || errH != nil || errW != nil {
		return fmt.Errorf("want HEIGHTxWIDTH, got %q", b)
	}
	return nil
}

// target is a map with a text of its own; its zero value is the empty text.
type target map[string]float64

func (t target) MarshalText() ([]byte, error) {
	var parts []string
	for k, v := range t {
		parts = append(parts, fmt.Sprintf("%s=%v", k, v))
	}
	sort.Strings(parts)
	return []byte(strings.Join(parts, ",")), nil
}

func (t *target) UnmarshalText(b []byte) error {
	*t = nil
	if len(b) == 0 {
		return nil
	}
	*t = target{}
	for part := range strings.SplitSeq(string(b), ",") {
		k, v, _ := strings.Cut(part, "=")
		x, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return errors.New("want METRIC=SHARE,…, got " + strconv.Quote(string(b)))
		}
		(*t)[k] = x
	}
	return nil
}

// sound returns settings without a fault.
func sound() *settings {
	s := &settings{common: common{Seed: 7, Name: "base"}, Tune: rule{Rate: 0.05}}
	s.Search.Weights = rule{Rate: 0.02, Share: 1}
	s.Search.Kind, s.Search.Kinds = "drnas", []string{"gdas"}
	s.Pair = pair{32, 48}
	s.Target = target{"macs": 0.5}
	return s
}
