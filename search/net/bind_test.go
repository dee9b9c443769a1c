package net_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/internal/modeltest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/search/net"
)

// takes is a model that adds its inputs, int64 or float32 of the given sizes.
func takes(elem ir.DType, dims []ir.Dim, names ...string) *ir.Model {
	g := &ir.Graph{Outputs: []ir.Value{{Name: "y", Type: ir.Type{Kind: ir.KindTensor, Elem: elem}}}}
	last := names[0]
	for i, name := range names {
		g.Inputs = append(g.Inputs, ir.Value{Name: name, Type: ir.Type{Kind: ir.KindTensor, Elem: elem, Ranked: true, Shape: dims}})
		out := "y"
		if i < len(names)-1 {
			out = "sum." + name
		}
		g.Nodes = append(g.Nodes, &ir.Node{Name: "add." + name, OpType: "Add", Inputs: []string{last, name}, Outputs: []string{out}})
		last = out
	}
	return &ir.Model{IRVersion: 8, Opsets: []ir.Opset{{Version: 17}}, Graph: g}
}

func TestBindingOnSentences(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.tsv")
	if err := os.WriteFile(path, []byte("a b c\t0\nd e\t1\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	set, err := data.Open("tsv:"+path, data.Options{Seq: 6})
	if err != nil {
		t.Fatal(err)
	}
	open := []ir.Dim{{Size: -1, Param: "n"}, {Size: -1, Param: "words"}}
	for _, c := range []struct {
		name string
		m    *ir.Model
		want string // of the error
	}{
		{"three of four fields in any order", takes(ir.Int64, open, "token_type_ids", "input_ids", "attention_mask"), ""},
		{"one input of another name", takes(ir.Int64, open, "tokens"), ""},
		{"one of two inputs of another name", takes(ir.Int64, open, "tokens", "attention_mask"), ""},
		{"two inputs of other names", takes(ir.Int64, open, "tokens", "mask"), `model input "tokens": want an array of that name, got "input_ids"`},
		{"floats", takes(ir.Float32, open, "input_ids"), "it takes floats, the data's field \"input_ids\" has integers"},
		{"another length", takes(ir.Int64, []ir.Dim{{Size: -1, Param: "n"}, {Size: 8}}, "input_ids"), "want samples of shape [8], got [6] (want the data's option seq to be 8)"},
		{"one name for two sizes", takes(ir.Int64, []ir.Dim{{Size: -1, Param: "n"}, {Size: -1, Param: "n"}}, "input_ids"), `dimension "n" would be both the batch, 3, and 6`},
		{"a small table", modeltest.Normal(t, "encoder-tiny", models.Options{Size: 6, Vocab: 8}), `token numbers up to 8, the model's table "embed.word.weight" has 8 rows`},
	} {
		t.Run(c.name, func(t *testing.T) {
			bind, err := net.BindingOn(c.m, 3, set)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("want error %q, got %v", c.want, err)
				}
				return
			}
			if err != nil || bind["n"] != 3 || bind["words"] != 6 {
				t.Errorf("want n 3 and words 6, got %v %v", bind, err)
			}
			n, err := net.NewNetworkOn(c.m, 3, set, nil)
			if err != nil || n.Positions != 0 {
				t.Errorf("want a network without positions, got %v", err)
			}
		})
	}
}
