package ops_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/internal/testenv"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
)

// corpusCase is one case of the ONNX backend test data.
type corpusCase struct {
	suite, name string
	dir         string
}

func (c corpusCase) String() string { return c.suite + "/" + c.name }

// corpus lists every case in order of name, or skips the test when the data is absent.
func corpus(t *testing.T) []corpusCase {
	t.Helper()
	root := testenv.Corpus(t)
	var out []corpusCase
	for _, suite := range []string{"node", "pytorch-converted", "pytorch-operator", "simple"} {
		dirs, err := os.ReadDir(filepath.Join(root, suite))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range dirs {
			dir := filepath.Join(root, suite, d.Name())
			if _, err := os.Stat(filepath.Join(dir, "model.onnx")); err == nil {
				out = append(out, corpusCase{suite, d.Name(), dir})
			}
		}
	}
	return out
}

// dataset is one set of inputs and expected outputs, by position.
type dataset struct{ in, out []*ir.Tensor }

// load reads the model and its data sets. A non-empty reason says why the case
// is outside what tensors of numbers can express.
func (c corpusCase) load() (m *ir.Model, sets []dataset, reason string, err error) {
	m, err = importer.Read(filepath.Join(c.dir, "model.onnx"))
	if err != nil {
		return nil, nil, "", err
	}
	if strings.HasPrefix(c.name, "test_training_dropout") && !strings.Contains(c.name, "zero_ratio") {
		return m, nil, "random draws of another generator", nil
	}
	for _, list := range [][]ir.Value{m.Graph.Inputs, m.Graph.Outputs} {
		for _, v := range list {
			if r := outside(v.Type); r != "" {
				return m, nil, r, nil
			}
		}
	}
	dirs, err := filepath.Glob(filepath.Join(c.dir, "test_data_set_*"))
	if err != nil {
		return nil, nil, "", err
	}
	slices.Sort(dirs)
	for _, d := range dirs {
		var s dataset
		if s.in, err = readTensors(d, "input"); err != nil {
			return m, nil, "", err
		}
		if s.out, err = readTensors(d, "output"); err != nil {
			return m, nil, "", err
		}
		halves(s.in, DataInputs(m.Graph))
		halves(s.out, m.Graph.Outputs)
		sets = append(sets, s)
	}
	if len(sets) == 0 {
		return m, nil, "no data", nil
	}
	return m, sets, "", nil
}

// halves restores the dtype of bfloat16 data, which the corpus stores as uint16 bit patterns.
func halves(data []*ir.Tensor, declared []ir.Value) {
	for i, t := range data {
		if i < len(declared) && declared[i].Type.Elem == ir.BFloat16 && t.DType == ir.Uint16 {
			t.DType = ir.BFloat16
		}
	}
}

// outside says why a type is not a tensor of numbers, "" when it is one.
func outside(t ir.Type) string {
	switch {
	case t.Kind == ir.KindSequence:
		return "sequences"
	case t.Kind == ir.KindOptional:
		return "optional values"
	case t.Kind != ir.KindTensor:
		return "values that are not tensors"
	case t.Elem == ir.String:
		return "strings"
	case t.Elem == ir.Complex64 || t.Elem == ir.Complex128:
		return "complex numbers"
	case !t.Elem.IsFloat() && !t.Elem.IsInt() && t.Elem != ir.Bool:
		return "numbers of 8 bits or fewer (" + t.Elem.String() + ")"
	}
	return ""
}

func readTensors(dir, kind string) ([]*ir.Tensor, error) {
	var out []*ir.Tensor
	for i := 0; ; i++ {
		path := filepath.Join(dir, fmt.Sprintf("%s_%d.pb", kind, i))
		if _, err := os.Stat(path); err != nil {
			return out, nil
		}
		t, err := importer.ReadTensor(path)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
}

// DataInputs returns the graph inputs that are not initialisers.
func DataInputs(g *ir.Graph) []ir.Value {
	var out []ir.Value
	for _, v := range g.Inputs {
		if g.Init(v.Name) == nil {
			out = append(out, v)
		}
	}
	return out
}

// freeze returns a copy of m in which the chosen data inputs are initialisers and the
// others have the sizes of their data.
func freeze(m *ir.Model, in []*ir.Tensor, chosen func(i int, t *ir.Tensor) bool) *ir.Model {
	c := m.Clone()
	frozen := map[string]bool{}
	for i, v := range DataInputs(m.Graph) {
		if i >= len(in) {
			break
		}
		if !chosen(i, in[i]) {
			continue
		}
		t := *in[i]
		t.Name = v.Name
		c.Graph.Inits = append(c.Graph.Inits, &t)
		frozen[v.Name] = true
	}
	c.Graph.Inputs = slices.DeleteFunc(c.Graph.Inputs, func(v ir.Value) bool { return frozen[v.Name] })
	for i, v := range DataInputs(m.Graph) {
		if i >= len(in) {
			break
		}
		for k := range c.Graph.Inputs {
			if c.Graph.Inputs[k].Name == v.Name {
				c.Graph.Inputs[k].Type = in[i].Type()
			}
		}
	}
	return c
}

// operator names the operator that a case is about: that of its only node, or of
// the case that it is the expanded form of.
func operator(c corpusCase, m *ir.Model, of map[string]string) string {
	base := c.name
	if i := strings.Index(base, "_expanded"); i > 0 {
		if op, ok := of[c.suite+"/"+base[:i]]; ok {
			return op
		}
	}
	var types []string
	for _, n := range m.Graph.Nodes {
		if n.OpType != "Constant" && !slices.Contains(types, n.OpType) {
			types = append(types, n.OpType)
		}
	}
	if len(types) == 0 {
		return "Constant"
	}
	if len(types) == 1 {
		return ops.Title(ir.NormalDomain(m.Graph.Nodes[0].Domain), types[0])
	}
	return "whole models"
}
