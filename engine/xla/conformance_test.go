package xla

import (
	"errors"
	"fmt"
	"testing"

	"github.com/entangle-nas/entangle/engine/enginetest"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/xla/internal/hloeval"
	"github.com/entangle-nas/entangle/engine/xla/lower"
)

// TestLowering judges what the lowering writes on an interpreter of StableHLO.
func TestLowering(t *testing.T) { enginetest.Run(t, newBackend(interpreter{}, lower.Options{})) }

// interpreter is a device that evaluates modules on the host.
type interpreter struct{}

func (interpreter) describe() string { return "interpreter" }

func (interpreter) upload(t *prim.Tensor) (array, error) { return &hostArray{fromHost(t)}, nil }

func (interpreter) compile(text string, results []prim.Type) (loaded, error) {
	m, err := hloeval.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	if len(m.Results) != len(results) {
		return nil, fmt.Errorf("want %d results, got %d", len(results), len(m.Results))
	}
	for i, r := range results {
		if got := m.Results[i].Type; !got.Equal(hostType(r)) {
			return nil, fmt.Errorf("result %d: want %v, got %v", i, hostType(r), got)
		}
	}
	return hostModule{m}, nil
}

type hostModule struct{ m *hloeval.Module }

func (hostModule) temporary() int { return 0 }

func (h hostModule) run(in []array, donate []bool) ([]array, error) {
	args := make([]*hloeval.Tensor, len(in))
	for i, a := range in {
		args[i] = a.(*hostArray).t
	}
	res, err := h.m.Run(args)
	if err != nil {
		return nil, err
	}
	out := make([]array, len(res))
	for i, r := range res {
		out[i] = &hostArray{r}
	}
	for i, a := range in {
		if donate[i] {
			a.free()
		}
	}
	return out, nil
}

type hostArray struct{ t *hloeval.Tensor }

func (a *hostArray) free() { a.t = nil }

func (a *hostArray) read(t *prim.Tensor) error {
	if a.t == nil {
		return errors.New("array: used after it was freed")
	}
	for i := range t.Len() {
		switch t.DType {
		case prim.F32:
			t.F32[i] = float32(a.t.F[i])
		case prim.F64:
			t.F64[i] = a.t.F[i]
		case prim.I64:
			t.I64[i] = a.t.I[i]
		case prim.Bool:
			t.B[i] = a.t.I[i] != 0
		default:
			t.U16[i] = prim.F64Tensor([]float64{a.t.F[i]}, 1).Cast(t.DType).U16[0]
		}
	}
	return nil
}

func hostType(t prim.Type) hloeval.Type {
	return hloeval.Type{Elem: [...]string{"f32", "f64", "i64", "i1", "f16", "bf16"}[t.DType], Shape: t.Shape}
}

func fromHost(t *prim.Tensor) *hloeval.Tensor {
	out := hloeval.New(hostType(clone(t.Type)))
	for i := range t.Len() {
		if t.DType.Float() {
			out.F[i] = t.Float(i)
		} else {
			out.I[i] = t.Int(i)
		}
	}
	return out
}
