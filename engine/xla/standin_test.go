//go:build xla

package xla

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/enginetest"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/xla/internal/hloeval"
	"github.com/entangle-nas/entangle/engine/xla/lower"
)

// TestMain makes the test binary the evaluator of the stand-in plugin when that asks for it.
func TestMain(m *testing.M) {
	if os.Getenv("ENTANGLE_STANDIN_EVALUATE") != "" {
		if err := evaluate(bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)); err != nil && err != io.EOF {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if loadedPlugin.path != "" {
		if so, err := built(); err == nil {
			os.RemoveAll(filepath.Dir(so))
		}
	}
	os.Exit(code)
}

// built is the plugin of testdata/standin.c, once for all tests: a process loads one.
var built = sync.OnceValues(func() (string, error) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		return "", fmt.Errorf("no C compiler: %w", err)
	}
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gomlx/go-xla").Output()
	if err != nil {
		return "", fmt.Errorf("no go command to find the header of PJRT with: %w", err)
	}
	tmp, err := os.MkdirTemp("", "standin-*")
	if err != nil {
		return "", err
	}
	// The name says CUDA, since that is what options are for.
	so := filepath.Join(tmp, "standin_cuda.so")
	include := filepath.Join(strings.TrimSpace(string(dir)), "pkg", "pjrt")
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-O1", "-I", include, "-o", so, filepath.Join("testdata", "standin.c")).CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v\n%s", err, out))
	}
	return so, nil
})

func standin(t *testing.T) string {
	t.Helper()
	so, err := built()
	if err != nil {
		t.Skip(err)
	}
	if p := loadedPlugin.path; p != "" && p != so {
		t.Skip("this process has loaded another plugin: ", p)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("ENTANGLE_STANDIN", self)
	return so
}

// TestStandin runs the whole suite through PJRT's C interface and its Go binding: buffers,
// donation, options and errors are the real ones, arithmetic is the interpreter's.
func TestStandin(t *testing.T) {
	be, err := Open(context.Background(), Options{Plugin: standin(t), Devices: []int{3}, MemoryShare: 0.5, Grow: true, Precision: lower.F32})
	if err != nil {
		t.Fatal(err)
	}
	if got := be.Describe(); !strings.HasPrefix(got, "xla: stand-in for GPU 3, 0.50 of its memory, growing, PJRT 0.") || !strings.HasSuffix(got, ", products in f32") {
		t.Errorf("description: got %q", got)
	}
	if bytes, ok := be.Room(); !ok || bytes != 4<<20 {
		t.Errorf("room: want 4 MiB, got %d, %v", bytes, ok)
	}
	enginetest.Run(t, be)
}

// TestStandinMesh runs the suite on two devices, each of which gets everything.
func TestStandinMesh(t *testing.T) {
	be, err := Open(context.Background(), Options{Plugin: standin(t), Devices: []int{1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	if got := be.Describe(); !strings.HasPrefix(got, "xla: 2 devices, the first stand-in for GPU 1") {
		t.Errorf("description: got %q", got)
	}
	enginetest.Run(t, be)
}

// TestStandinRefuses: a plugin that has no GPU, or does not answer, ends in one line and in time.
func TestStandinRefuses(t *testing.T) {
	for _, c := range []struct{ mode, want string }{
		{"refuse", "no CUDA-capable device is detected"},
		{"none", "the plugin sees no device"},
		{"hang", "no answer within 200ms"},
	} {
		t.Run(c.mode, func(t *testing.T) {
			t.Setenv("ENTANGLE_STANDIN_MODE", c.mode)
			_, err := Open(context.Background(), Options{Plugin: standin(t), Timeout: 200 * time.Millisecond})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("want one line with %q, got %v", c.want, err)
			}
		})
	}
	t.Run("interrupt", func(t *testing.T) {
		t.Setenv("ENTANGLE_STANDIN_MODE", "hang")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := Open(ctx, Options{Plugin: standin(t)}); err != context.Canceled {
			t.Errorf("want the context's error, got %v", err)
		}
	})
}

// TestUploads: the stand-in refuses small uploads that are waited for, and large ones that
// are copied first.
func TestUploads(t *testing.T) {
	be, err := Open(context.Background(), Options{Plugin: standin(t)})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 1 << 24, 1<<24 + 1} {
		b, err := be.Upload(prim.NewTensor(prim.Type{DType: prim.Bool, Shape: []int{n}}))
		if err != nil {
			t.Fatal(err)
		}
		b.Free()
	}
}

// TestFull: a device that is out of memory says so, also to errors.Is.
func TestFull(t *testing.T) {
	t.Setenv("ENTANGLE_STANDIN_MODE", "full")
	be, err := Open(context.Background(), Options{Plugin: standin(t)})
	if err != nil {
		t.Fatal(err)
	}
	b := prim.NewBuilder()
	b.Output("y", b.Scale(b.Input("x", prim.Type{DType: prim.F32, Shape: []int{4}}), 3))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	_, err = engine.RunHost(be, p, map[string]*prim.Tensor{"x": prim.NewTensor(prim.Type{DType: prim.F32, Shape: []int{4}})})
	if !errors.Is(err, engine.ErrMemory) || !strings.Contains(err.Error(), "allocate 64 bytes") || strings.Contains(err.Error(), "\n") {
		t.Errorf("want one line that wraps ErrMemory, got %v", err)
	}
}

// TestEnvironment: the binding must not name a toolkit of its own.
func TestEnvironment(t *testing.T) {
	t.Setenv("XLA_FLAGS", "")
	if _, err := Open(context.Background(), Options{Plugin: standin(t)}); err != nil {
		t.Fatal(err)
	}
	if got := os.Getenv("XLA_FLAGS"); got != "" {
		t.Errorf("XLA_FLAGS: want nothing, got %q", got)
	}
	if _, err := Open(context.Background(), Options{Plugin: standin(t), CUDAData: "/toolkit"}); err != nil {
		t.Fatal(err)
	}
	if got, want := os.Getenv("XLA_FLAGS"), "--xla_gpu_cuda_data_dir=/toolkit"; got != want {
		t.Errorf("XLA_FLAGS: want %q, got %q", want, got)
	}
}

// TestModuleCache: a module that was compiled before is loaded; one that cannot be loaded
// is compiled again.
func TestModuleCache(t *testing.T) {
	log, dir := filepath.Join(t.TempDir(), "log"), t.TempDir()
	t.Setenv("ENTANGLE_STANDIN_LOG", log)
	b := prim.NewBuilder()
	b.Output("y", b.Scale(b.Input("x", prim.Type{DType: prim.F32, Shape: []int{4}}), 3))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	run := func(want string) {
		t.Helper()
		os.Remove(log)
		be, err := Open(context.Background(), Options{Plugin: standin(t), Cache: dir})
		if err != nil {
			t.Fatal(err)
		}
		out, err := engine.RunHost(be, p, map[string]*prim.Tensor{"x": prim.F32Tensor([]float32{1, 2, 3, 4}, 4)})
		if err != nil || out["y"].F32[3] != 12 {
			t.Fatalf("want 12, got %v, %v", out["y"], err)
		}
		got, err := os.ReadFile(log)
		if err != nil || strings.Join(strings.Fields(string(got)), " ") != want {
			t.Errorf("want %q, got %q, %v", want, got, err)
		}
	}
	run("compile")
	run("load")
	files, err := filepath.Glob(filepath.Join(dir, "*.pjrt"))
	if err != nil || len(files) != 1 {
		t.Fatalf("want one kept module, got %v, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("no module"), 0o666); err != nil {
		t.Fatal(err)
	}
	run("load compile")
	run("load")
}

// TestOnePlugin: a second plugin in one process is refused.
func TestOnePlugin(t *testing.T) {
	if _, err := Open(context.Background(), Options{Plugin: standin(t)}); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.so")
	if err := os.WriteFile(other, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), Options{Plugin: other}); err == nil || !strings.Contains(err.Error(), "no second plugin") {
		t.Errorf("want an error that says so, got %v", err)
	}
}

// evaluate serves one stand-in plugin until its pipe ends.
func evaluate(r *bufio.Reader, w *bufio.Writer) error {
	e := evaluator{r: r, w: w}
	for {
		switch v, err := e.number(); {
		case err != nil:
			return err
		case v == 'C':
			e.compile()
		case v == 'X':
			e.execute()
		default:
			return fmt.Errorf("request: got %d", v)
		}
		if e.err != nil {
			return e.err
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
}

type evaluator struct {
	r       *bufio.Reader
	w       *bufio.Writer
	modules []*hloeval.Module
	err     error
}

func (e *evaluator) number() (int64, error) {
	var v int64
	err := binary.Read(e.r, binary.LittleEndian, &v)
	return v, err
}

func (e *evaluator) get() int {
	v, err := e.number()
	if e.err == nil {
		e.err = err
	}
	return int(v)
}

func (e *evaluator) bytes(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(e.r, b); e.err == nil {
		e.err = err
	}
	return b
}

func (e *evaluator) put(v ...int) {
	for _, n := range v {
		binary.Write(e.w, binary.LittleEndian, int64(n))
	}
}

func (e *evaluator) fail(err error) {
	e.put(len(err.Error()))
	e.w.WriteString(err.Error())
}

// pjrtTypes are the numbers of element types in PJRT's C interface.
var pjrtTypes = map[string]int{"i1": 1, "i64": 5, "f16": 10, "f32": 11, "f64": 12, "bf16": 13}

func (e *evaluator) compile() {
	m, err := hloeval.Parse(string(e.bytes(e.get())))
	if err != nil {
		e.fail(err)
		return
	}
	e.modules = append(e.modules, m)
	e.put(0, len(e.modules)-1, max(m.Partitions, 1), len(m.Args))
	for _, a := range m.Args {
		if a.Attrs["tf.aliasing_output"] != "" {
			e.put(1)
		} else {
			e.put(0)
		}
	}
	e.put(len(m.Results))
	for _, r := range m.Results {
		e.put(pjrtTypes[r.Type.Elem], len(r.Type.Shape))
		e.put(r.Type.Shape...)
		e.put(r.Type.Len() * width(r.Type.Elem))
	}
}

var dtypesByName = map[string]prim.DType{"i1": prim.Bool, "i64": prim.I64, "f16": prim.F16, "bf16": prim.BF16, "f32": prim.F32, "f64": prim.F64}

func width(elem string) int {
	return map[string]int{"i1": 1, "i64": 8, "f16": 2, "bf16": 2, "f32": 4, "f64": 8}[elem]
}

func (e *evaluator) execute() {
	m := e.modules[e.get()]
	args := make([]*hloeval.Tensor, len(m.Args))
	var wrong error
	for i, a := range m.Args {
		typ, shape := e.get(), make([]int, e.get())
		for k := range shape {
			shape[k] = e.get()
		}
		t := prim.NewTensor(prim.Type{DType: dtypesByName[a.Type.Elem], Shape: shape})
		raw := e.bytes(e.get())
		if typ != pjrtTypes[a.Type.Elem] || len(raw) != t.Bytes() {
			wrong = fmt.Errorf("argument %d: want %v, got type %d of shape %v in %d bytes", i, a.Type, typ, shape, len(raw))
			continue
		}
		copy(bytesOf(t), raw)
		args[i] = fromHost(t)
	}
	if wrong != nil {
		e.fail(wrong)
		return
	}
	out, err := m.Run(args)
	if err != nil {
		e.fail(err)
		return
	}
	e.put(0)
	for _, x := range out {
		t := prim.NewTensor(prim.Type{DType: dtypesByName[x.Elem], Shape: x.Shape})
		if err := (&hostArray{x}).read(t); err != nil {
			e.err = err
		}
		e.w.Write(bytesOf(t))
	}
}
