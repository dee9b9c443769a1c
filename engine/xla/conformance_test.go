package xla

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/enginetest"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/xla/internal/hloeval"
	"github.com/entangle-nas/entangle/engine/xla/lower"
)

// TestLowering judges what the lowering writes on an interpreter of StableHLO, and has
// MLIR's own parser read it, where there is one.
func TestLowering(t *testing.T) {
	var texts []string
	enginetest.Run(t, newBackend(interpreter{&texts}, lower.Options{}))
	t.Run("mlir", func(t *testing.T) { parseMLIR(t, texts) })
}

// parseMLIR reads modules with mlir-opt. It knows nothing of StableHLO, but all of the
// syntax, of types, of constants and of functions.
func parseMLIR(t *testing.T, texts []string) {
	path := ""
	for _, name := range []string{"mlir-opt", "mlir-opt-19", "mlir-opt-16"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no mlir-opt on PATH: Debian has it in mlir-16-tools")
	}
	t.Logf("%d modules", len(texts))
	cmd := exec.Command(path, "--allow-unregistered-dialect", "--split-input-file", "-o", os.DevNull)
	cmd.Stdin = strings.NewReader(strings.Join(texts, "\n// -----\n"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %.2000s", err, out)
	}
}

// interpreter is a device that evaluates modules on the host. It keeps their texts.
type interpreter struct{ texts *[]string }

func (interpreter) describe() string { return "interpreter" }

func (interpreter) room() (int, bool) { return 0, false }

func (interpreter) upload(t *prim.Tensor) (array, error) { return &hostArray{fromHost(t)}, nil }

func (d interpreter) compile(text string, results []prim.Type) (loaded, error) {
	if d.texts != nil {
		*d.texts = append(*d.texts, text)
	}
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
