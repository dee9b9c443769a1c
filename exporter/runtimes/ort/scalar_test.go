//go:build cgo

package ort

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/exporter"
	"github.com/entangle-nas/entangle/exporter/runtimes"
	"github.com/entangle-nas/entangle/ir"
)

// openText returns a session of a graph in ir's text form, or skips the test.
func openText(t *testing.T, graph string) runtimes.Session {
	t.Helper()
	lib := os.Getenv("ONNXRUNTIME_LIB")
	if lib == "" {
		t.Skip("ONNXRUNTIME_LIB names no library: make test sets it")
	}
	m, err := ir.Parse("model {\n  ir 8\n  opset _ 13\n}\ngraph g {\n" + graph + "\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	file, err := exporter.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Library: lib}).Open(runtimes.Source{Data: file, Model: m})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestScalars(t *testing.T) {
	for _, c := range []struct {
		graph   string
		dtype   ir.DType
		in, out float64
	}{
		{"input x float32[]\noutput y float32[]\nnode _: (y) = Add(x, x)", ir.Float32, -1.5, -3},
		{"input x float64[]\noutput y float64[]\nnode _: (y) = Add(x, x)", ir.Float64, math.Pi, 2 * math.Pi},
		{"input x int64[]\noutput y int64[]\nnode _: (y) = Add(x, x)", ir.Int64, 1 << 40, 1 << 41},
		{"input x int32[]\noutput y int32[]\nnode _: (y) = Add(x, x)", ir.Int32, -7, -14},
		{"input x bool[]\noutput y bool[]\nnode _: (y) = Not(x)", ir.Bool, 0, 1},
	} {
		t.Run(c.dtype.String(), func(t *testing.T) {
			tensor := func(name string, v float64) *ir.Tensor {
				if c.dtype == ir.Bool {
					x, err := ir.NewInts(name, ir.Bool, nil, []int64{int64(v)})
					if err != nil {
						t.Fatal(err)
					}
					return x
				}
				x, err := ir.NewFloats(name, c.dtype, nil, []float64{v})
				if err != nil {
					t.Fatal(err)
				}
				return x
			}
			out, err := openText(t, c.graph).Run(map[string]*ir.Tensor{"x": tensor("x", c.in)})
			if err != nil {
				t.Fatal(err)
			}
			want, got := tensor("y", c.out), out["y"]
			if got.DType != want.DType || len(got.Dims) != 0 || !bytes.Equal(got.Raw, want.Raw) {
				t.Errorf("want %s of bytes %v, got %s of bytes %v", want.Type(), want.Raw, got.Type(), got.Raw)
			}
		})
	}
}

func TestScalarsWithoutABinding(t *testing.T) {
	s := openText(t, "input x float16[]\noutput y float16[]\nnode _: (y) = Identity(x)")
	x, err := ir.NewFloats("x", ir.Float16, nil, []float64{1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(map[string]*ir.Tensor{"x": x}); err == nil || !strings.Contains(err.Error(), `input "x": want a scalar of float32`) {
		t.Errorf("want an error that names the types, got %v", err)
	}
	s = openText(t, "input x float32[2]\noutput y float32\nnode _: (y) = ReduceSum(x) keepdims=0")
	_, err = s.Run(map[string]*ir.Tensor{"x": ir.NewFloat32("x", []int{2}, []float32{1, 2})})
	if err == nil || !strings.Contains(err.Error(), "scalar outputs to be declared") {
		t.Errorf("want an error about a scalar of undeclared shape, got %v", err)
	}
}

// TestFailedRun: a run that ONNX Runtime refuses is an error, and the session goes on.
func TestFailedRun(t *testing.T) {
	s := openText(t, "input x float32[n]\ninput k float32[]\noutput y float32[2, 2]\noutput z float32[]\ninit shape int64[2] = [2, 2]\n"+
		"node _: (y) = Reshape(x, shape)\nnode _: (z) = Add(k, k)")
	k := ir.NewFloat32("k", nil, []float32{3})
	if _, err := s.Run(map[string]*ir.Tensor{"x": ir.NewFloat32("x", []int{3}, make([]float32, 3)), "k": k}); err == nil || !strings.Contains(err.Error(), "Reshape") {
		t.Errorf("want ONNX Runtime's error of the Reshape, got %v", err)
	}
	out, err := s.Run(map[string]*ir.Tensor{"x": ir.NewFloat32("x", []int{4}, []float32{1, 2, 3, 4}), "k": k})
	if err != nil {
		t.Fatal(err)
	}
	y, _ := out["y"].Float32s()
	z, _ := out["z"].Float32s()
	if len(y) != 4 || y[3] != 4 || len(z) != 1 || z[0] != 6 {
		t.Errorf("want 1 2 3 4 and 6, got %v and %v", y, z)
	}
}

// TestEmptyInput: a tensor without elements, such as the past of a first call, is fed.
func TestEmptyInput(t *testing.T) {
	s := openText(t, "input x float32[n,2]\ninput z float32[1,2]\noutput y float32[m,2]\nnode _: (y) = Concat(x, z) axis=0")
	out, err := s.Run(map[string]*ir.Tensor{"x": ir.NewFloat32("x", []int{0, 2}, nil), "z": ir.NewFloat32("z", []int{1, 2}, []float32{3, 4})})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := out["y"].Float64s(); err != nil || len(v) != 2 || v[0] != 3 || v[1] != 4 {
		t.Errorf("want 3 and 4, got %v, %v", v, err)
	}
}
