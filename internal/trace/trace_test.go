package trace

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/prim"
)

type document struct {
	OtherData   map[string]string
	TraceEvents []struct {
		Name, Ph string
		TS, Dur  float64
		Args     map[string]any
	}
}

func written(t *testing.T, r *Recorder) document {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b, "test", map[string]string{"engine": "cpu"}); err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(b.Bytes(), &d); err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	return d
}

func TestWrite(t *testing.T) {
	r := &Recorder{}
	if r.Keep(); !r.Empty() {
		t.Error("want an empty recorder")
	}
	if err := r.Write(&bytes.Buffer{}, "test", nil); err == nil {
		t.Error("nothing recorded: want an error")
	}
	at := time.Unix(100, 0)
	r.Kernel(3, `map "a"`, at, at.Add(2*time.Millisecond), 4e6, 8e6)
	r.NextRun()
	r.Kernel(5, "matmul", at.Add(3*time.Millisecond), at.Add(3*time.Millisecond), 1, 1)
	r.Keep()
	r.Begin()
	r.Kernel(6, "shorter", at, at, 0, 0)
	r.Keep()
	d := written(t, r)
	if r.Empty() || len(d.TraceEvents) != 3 || d.OtherData["engine"] != "cpu" {
		t.Fatalf("want the process's name and two kernels, got %+v", d)
	}
	if e := d.TraceEvents[0]; e.Ph != "M" || e.Args["name"] != "test" {
		t.Errorf("want the process's name first, got %+v", e)
	}
	if e := d.TraceEvents[1]; e.Name != `map "a"` || e.Ph != "X" || e.TS != 0 || e.Dur != 2000 || e.Args["node"] != 3.0 || e.Args["gflop_per_s"] != 2.0 || e.Args["gb_per_s"] != 4.0 || e.Args["run"] != 0.0 {
		t.Errorf("first kernel: got %+v", e)
	}
	if e := d.TraceEvents[2]; e.TS != 3000 || e.Dur != 0 || e.Args["gflop_per_s"] != 0.0 || e.Args["run"] != 1.0 {
		t.Errorf("second kernel: got %+v", e)
	}
}

// TestRuns: after several runs of several programs the recorder of Largest holds the
// kernels of one run of the largest, and that of EachRun all kernels, numbered.
func TestRuns(t *testing.T) {
	r := &Recorder{}
	be := Largest(cpu.New(cpu.Options{Threads: 1, Trace: r.Kernel}), r)
	for _, products := range []int{1, 2, 1} {
		runThrice(t, be, products)
	}
	d := written(t, r)
	if len(d.TraceEvents) != 3 || !strings.Contains(d.TraceEvents[1].Name, "matmul") || d.TraceEvents[2].Args["run"] != 1.0 {
		t.Errorf("largest: want two products of one run, got %+v", d.TraceEvents)
	}
	r = &Recorder{}
	runThrice(t, EachRun(cpu.New(cpu.Options{Threads: 1, Trace: r.Kernel}), r), 1)
	if d = written(t, r); len(d.TraceEvents) != 4 {
		t.Fatalf("each run: want three kernels, got %+v", d.TraceEvents)
	}
	for i, e := range d.TraceEvents[1:] {
		if e.Args["run"] != float64(i+1) {
			t.Errorf("kernel %d: want run %d, got %v", i, i+1, e.Args["run"])
		}
	}
}

// runThrice runs a chain of matrix products three times.
func runThrice(t *testing.T, be engine.Backend, products int) {
	t.Helper()
	b := prim.NewBuilder()
	typ := prim.Type{DType: prim.F32, Shape: []int{8, 8}}
	x := b.Input("x", typ)
	y := x
	for range products {
		y = b.MatMul(y, x, false, false)
	}
	b.Output("y", y)
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := be.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	buf, err := be.Upload(prim.NewTensor(typ))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := exe.Run([]engine.Buffer{buf}); err != nil {
			t.Fatal(err)
		}
	}
}
