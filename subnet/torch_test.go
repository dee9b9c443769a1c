package subnet_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/space"
)

// TestVertexTorch: transformers as PyTorch exports them at opsets 11 to 16: shapes
// computed from inputs, heads counted by division, masks and positions built in the graph.
func TestVertexTorch(t *testing.T) {
	const wide, hidden, heads = 24, 40, 6
	for _, c := range []struct {
		file   string
		blocks int
		heads  int // units of a group
		attend int // branches of attentions that can be skipped
	}{
		{"encoder", 2, heads, 2},
		{"vision", 2, heads, 2},
		{"bert", 2, heads, 2},
		{"gpt", 1, heads, 1},
		{"llama", 1, heads / 2, 1},
		{"t5", 1, heads, 1},
	} {
		t.Run(c.file, func(t *testing.T) {
			m := torchModel(t, c.file)
			s := subject{c.file, m, map[string]int{"batch": batch, "seq": 7}, space.Options{Divisor: 4}, 3, 1e-9}
			wantOffer(t, s, c.blocks+c.attend, map[string]int{
				fmt.Sprint(true, " ", c.heads): c.blocks, fmt.Sprint(false, " ", hidden): c.blocks, fmt.Sprint(false, " ", wide): 1,
			})
			checkVertices(t, s)
		})
	}
}

func torchModel(t *testing.T, name string) *ir.Model {
	t.Helper()
	m, err := importer.Read(filepath.Join("testdata", "torch", name+".onnx"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}
