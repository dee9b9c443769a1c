//go:build cgo

package ort

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/entangle-nas/entangle/exporter/runtimes"
)

// profileEvent is an event of the library's profile.
type profileEvent struct {
	Category string `json:"cat"`
	Name     string `json:"name"`
	Micro    int64  `json:"dur"`
	Args     struct {
		Op string `json:"op_name"`
	} `json:"args"`
}

// nodeEvent ends the names of events that tell a node's time.
const nodeEvent = "_kernel_time"

// readProfile reads the times of nodes, by run; the first runs are left out.
func readProfile(path string, warmup, runs int) ([]runtimes.NodeTimes, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var events []profileEvent
	if err := json.Unmarshal(text, &events); err != nil {
		return nil, fmt.Errorf("ort: profile: %w", err)
	}
	var out []runtimes.NodeTimes
	at := map[string]int{}
	run := 0
	for _, e := range events {
		switch name, isNode := strings.CutSuffix(e.Name, nodeEvent); {
		case e.Category == "Session" && e.Name == "model_run":
			run++
		case e.Category == "Node" && isNode && run >= warmup && run < warmup+runs:
			k, known := at[name]
			if !known {
				k = len(out)
				at[name], out = k, append(out, runtimes.NodeTimes{Name: name, Op: e.Args.Op, Times: make([]float64, runs)})
			}
			out[k].Times[run-warmup] += float64(e.Micro) / 1e3
		}
	}
	if run < warmup+runs || len(out) == 0 {
		return nil, fmt.Errorf("ort: profile: want nodes of %d runs, got %d nodes of %d", warmup+runs, len(out), run)
	}
	return out, nil
}
