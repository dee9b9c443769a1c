package subnet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// RecipeVersion is the format version of recipe.json.
const RecipeVersion = 1

// Recipe is the outcome of a search.
type Recipe struct {
	Version int    `json:"version"`
	Source  string `json:"source"` // space.Fingerprint of the normal model
	Seed    uint64 `json:"seed"`
	Method  string `json:"method,omitempty"` // how the choices were made
	// Sizes are those of the source's open dimensions behind the batch that the choices were
	// made at, by name; an unnamed one is called by its input and its axis, as in image_2.
	Sizes map[string]int `json:"sizes,omitempty"`
	// LearnAt names the tensors that were taught in place of outputs; behind them nothing is cut.
	LearnAt []string           `json:"learn_at,omitempty"`
	Dims    []Decision         `json:"dimensions"`
	Cost    map[string]float64 `json:"cost"` // of the subnet, by metric
	From    map[string]float64 `json:"source_cost"`
}

// Decision is one dimension's choice. Order is carried so that the recipe alone
// says which units stay.
type Decision struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Node    string `json:"node"`
	Choice  int    `json:"choice"` // the value, not its index
	Choices []int  `json:"choices"`
	Order   []int  `json:"order,omitempty"`
	// Candidates of operations: choice k keeps the k-th, 0 none, one more than there are all.
	Candidates []string `json:"candidates,omitempty"`
	// Kernels are the sizes that candidates' kernels shrink to; see space.Dim.
	Kernels []int `json:"kernels,omitempty"`
	Whole   bool  `json:"whole,omitempty"`
	// Tied are the further nodes that the decision is made for.
	Tied []space.Tied `json:"tied,omitempty"`
	// Gone: everything the dimension cuts went with skipped branches, so the choice means nothing.
	Gone bool `json:"gone,omitempty"`
}

// Kept names the candidate of operations that remains, "none", or "all"; see space.Kept.
func (d Decision) Kept() string { return space.Kept(d.Candidates, d.Kernels, d.Choice) }

// NewRecipe records a choice (indices per dim of the supernet's space).
func NewRecipe(net *space.Supernet, choice []int, seed uint64, method string) (*Recipe, error) {
	if err := net.Space.CheckChoice(choice); err != nil {
		return nil, err
	}
	r := &Recipe{Version: RecipeVersion, Source: net.Space.Source, Seed: seed, Method: method, Cost: map[string]float64{}, From: map[string]float64{}, Sizes: sizes(net.An)}
	for i, d := range net.Space.Dims {
		r.Dims = append(r.Dims, Decision{Name: d.Name, Kind: d.Kind, Node: d.Node, Choice: d.Choices[choice[i]], Choices: d.Choices, Order: d.Order, Candidates: d.Candidates, Kernels: d.Kernels, Whole: d.Whole, Tied: d.Tied})
	}
	costs, err := net.Costs()
	if err != nil {
		return nil, err
	}
	for name, c := range costs {
		r.Cost[name], r.From[name] = c.At(choice), c.Whole
	}
	stored, err := net.Cost(space.Bytes)
	if err != nil {
		return nil, err
	}
	for i := range r.Dims {
		r.Dims[i].Gone = len(r.Dims[i].Choices) > 1 && stored.Idle(choice, i)
	}
	return r, nil
}

// sizes returns what the open dimensions of inputs, behind the first, were bound to.
func sizes(an *space.Analysis) map[string]int {
	var out map[string]int
	for _, v := range an.Model.Graph.Inputs {
		for axis, d := range v.Type.Shape {
			if axis == 0 || d.Known() {
				continue
			}
			name, bound := d.Param, d.Param
			if name == "" {
				name, bound = OpenName(v.Name, axis), ops.AnyDim
			}
			if n, ok := an.Facts.Bind[bound]; ok {
				if out == nil {
					out = map[string]int{}
				}
				out[name] = n
			}
		}
	}
	return out
}

// OpenName is what an input's open dimension without a name is called.
func OpenName(input string, axis int) string { return fmt.Sprintf("%s_%d", input, axis) }

// Kinds lists the kinds of the recipe's dimensions, for space.Analyse.
func (r *Recipe) Kinds() []string {
	var out []string
	for _, d := range r.Dims {
		out = append(out, d.Kind)
	}
	return out
}

// Space rebuilds the space and choice indices that the recipe decides.
func (r *Recipe) Space() (*space.Space, []int, error) {
	s := &space.Space{Source: r.Source}
	var choice []int
	for _, d := range r.Dims {
		i := slices.Index(d.Choices, d.Choice)
		if i < 0 {
			return nil, nil, fmt.Errorf("subnet: recipe: dimension %q: choice %d: want one of %v", d.Name, d.Choice, d.Choices)
		}
		s.Dims = append(s.Dims, space.Dim{Name: d.Name, Kind: d.Kind, Node: d.Node, Choices: d.Choices, Order: d.Order, Candidates: d.Candidates, Kernels: d.Kernels, Whole: d.Whole, Tied: d.Tied})
		choice = append(choice, i)
	}
	return s, choice, nil
}

// Marshal writes recipe.json: keys in a fixed order, one line per dimension.
func (r *Recipe) Marshal() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("subnet: recipe: %w", err)
	}
	return append(b, '\n'), nil
}

// Compact writes the recipe as one line, for a model's metadata.
func (r *Recipe) Compact() (string, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("subnet: recipe: %w", err)
	}
	return string(b), nil
}

// UnmarshalRecipe reads recipe.json; unknown keys are errors.
func UnmarshalRecipe(data []byte) (*Recipe, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	r := &Recipe{}
	if err := dec.Decode(r); err != nil {
		return nil, fmt.Errorf("subnet: recipe: at byte %d: %w", dec.InputOffset(), err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("subnet: recipe: at byte %d: want the end of the file", dec.InputOffset())
	}
	if r.Version != RecipeVersion {
		return nil, fmt.Errorf("subnet: recipe: version: want %d, got %d", RecipeVersion, r.Version)
	}
	return r, nil
}
