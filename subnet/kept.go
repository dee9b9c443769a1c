package subnet

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// KeptVersion is the format version of kept.json.
const KeptVersion = 1

// Kept says what a subnet kept of every initialiser of its source, for those who cut the
// same network elsewhere.
type Kept struct {
	Version int          `json:"version"`
	Source  string       `json:"source"` // space.Fingerprint of the normal model
	Inits   []KeptTensor `json:"initialisers"`
}

// KeptTensor is one initialiser of the source's normal form.
type KeptTensor struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Dims  []int  `json:"dims"`
	// SHA256 is that of the elements, row-major and little-endian, by which a tensor is found
	// that the exporter renamed or transposed.
	SHA256 string `json:"sha256"`
	// Keep lists, per axis, the positions that stay, ascending; null for all of them.
	Keep ops.Positions `json:"keep"`
	// Gone: nothing in the subnet reads it. A branch was skipped, or sizes took its place.
	Gone bool `json:"gone,omitempty"`
}

// NewKept lists what a choice (indices per dim of the supernet's space) keeps; cut is what
// Cut made of it.
func NewKept(net *space.Supernet, choice []int, cut *ir.Model) (*Kept, error) {
	keep, _, err := net.Cut(choice)
	if err != nil {
		return nil, err
	}
	left := map[string]*ir.Tensor{}
	for _, t := range cut.Graph.Inits {
		left[t.Name] = t
	}
	k := &Kept{Version: KeptVersion, Source: net.Space.Source}
	for _, t := range net.An.Model.Graph.Inits {
		sum := sha256.Sum256(t.Raw)
		x := KeptTensor{Name: t.Name, DType: t.DType.String(), Dims: append([]int{}, t.Dims...), SHA256: hex.EncodeToString(sum[:]), Keep: make(ops.Positions, len(t.Dims)), Gone: left[t.Name] == nil}
		if !x.Gone {
			copy(x.Keep, keep[t.Name])
			if want, got := fmt.Sprint(x.Keep.Shape(t.Dims)), fmt.Sprint(left[t.Name].Dims); want != got {
				return nil, fmt.Errorf("BUG: subnet: kept: initialiser %q: want sizes %s, got %s", t.Name, want, got)
			}
		}
		k.Inits = append(k.Inits, x)
	}
	return k, nil
}

// Add lists an initialiser of the source that stays whole.
func (k *Kept) Add(t *ir.Tensor) {
	sum := sha256.Sum256(t.Raw)
	k.Inits = append(k.Inits, KeptTensor{Name: t.Name, DType: t.DType.String(), Dims: append([]int{}, t.Dims...), SHA256: hex.EncodeToString(sum[:]), Keep: make(ops.Positions, len(t.Dims))})
}

// Marshal writes kept.json: one line per initialiser.
func (k *Kept) Marshal() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n  \"version\": %d,\n  \"source\": %q,\n  \"initialisers\": [", k.Version, k.Source)
	for i, x := range k.Inits {
		line, err := json.Marshal(x)
		if err != nil {
			return nil, fmt.Errorf("subnet: kept: initialiser %q: %w", x.Name, err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n    ")
		b.Write(line)
	}
	b.WriteString("\n  ]\n}\n")
	return b.Bytes(), nil
}
