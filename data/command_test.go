//go:build unix

package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/entangle-nas/entangle/engine/prim"
)

// sent builds what a program streams.
type sent struct{ bytes.Buffer }

func (s *sent) line(format string, args ...any) *sent {
	fmt.Fprintf(s, format+"\n", args...)
	return s
}

func (s *sent) arrays(t *testing.T, arrays ...Array) *sent {
	t.Helper()
	for _, a := range arrays {
		if err := WriteNPY(s, a); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// begun is a stream of the part train with one frame of two samples.
func begun(t *testing.T) *sent {
	t.Helper()
	s := &sent{}
	return s.line(`{"entangle":1,"part":"train"}`).line(`{"arrays":["x","labels"]}`).
		arrays(t, Array{Shape: []int{2, 3}, Data: []float32{0, 1, 2, 3, 4, 5}}, Array{Shape: []int{2}, Data: []int64{1, 0}})
}

// program is a command that streams what is given for each part, nothing for others.
func program(t *testing.T, parts map[string]*sent) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range partNames {
		s := parts[name]
		if s == nil {
			s = (&sent{}).line(`{"entangle":1,"part":%q}`, name).line(`{"end":true,"samples":0}`)
		}
		write(t, filepath.Join(dir, name), s.Bytes())
	}
	return fmt.Sprintf(`cmd:part=$(sed -n 's/.*"part":"\([a-z]*\)".*/\1/p'); cat '%s'/"$part"`, dir)
}

func TestCommand(t *testing.T) {
	train := begun(t).line(`{"arrays":["x","labels"]}`).
		arrays(t, Array{Shape: []int{1, 3}, Data: []float64{6, 7, 8}}, Array{Shape: []int{1}, Data: []uint8{1}}).
		line(`{"end":true,"samples":3}`)
	test := (&sent{}).line(`{"entangle":1,"part":"test"}`).line(`{"arrays":["x"]}`).
		arrays(t, Array{Shape: []int{1, 3}, Data: []float32{9, 9, 9}}).line(`{"end":true,"samples":1}`)
	spec := program(t, map[string]*sent{"train": train, "test": test})
	var digests []string
	for _, most := range []int64{0, 1, 13} { // in memory, in a file, the first frame's labels in memory
		set := must[*Set](t)(Open(spec, Options{CacheBytes: most}))
		if len(set.Parts) != 2 || set.Part("test").Labelled() || !slices.Equal(set.Part("train").Labels, []int64{1, 0, 1}) || len(set.Classes) != 2 {
			t.Fatalf("got %d parts, labels %v", len(set.Parts), set.Part("train").Labels)
		}
		if x := firstBatch(t, set.Part("train")).Inputs[0]; !slices.Equal(x.F32, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8}) {
			t.Errorf("at %d bytes: got %v", most, x.F32)
		}
		digests = append(digests, must[string](t)(set.Digest()))
	}
	if digests[0] != digests[1] || digests[0] != digests[2] {
		t.Errorf("want the same samples in memory and in a file, got %q", digests)
	}
}

// Arrays arrive as the model takes them: of images, channels may be last.
func TestCommandChannelsLast(t *testing.T) {
	pixels := make([]float32, 2*3*2)
	for i := range pixels {
		pixels[i] = float32(i)
	}
	s := (&sent{}).line(`{"entangle":1,"part":"train"}`).line(`{"arrays":["x","labels"]}`).
		arrays(t, Array{Shape: []int{1, 2, 3, 2}, Data: pixels}, Array{Shape: []int{1, 2, 3}, Data: []uint8{0, 1, 2, 3, 4, 255}}).line(`{"end":true,"samples":1}`)
	set := must[*Set](t)(Open(program(t, map[string]*sent{"train": s}), Options{Layout: NHWC}))
	if !slices.Equal(set.Shape(), []int{2, 2, 3}) {
		t.Errorf("want channels first in the field, got %v", set.Shape())
	}
	b := firstBatch(t, set.Part("train"))
	if x := b.Inputs[0]; !slices.Equal(x.Shape, []int{1, 2, 3, 2}) || !slices.Equal(x.F32, pixels) {
		t.Errorf("want the pixels as sent, got %v of %v", x.F32, x.Shape)
	}
	if !slices.Equal(b.Labels.I64, []int64{0, 1, 2, 3, 4, -1}) {
		t.Errorf("labels: got %v", b.Labels.I64)
	}
}

func TestCommandFaults(t *testing.T) {
	x := Array{Shape: []int{2, 3}, Data: make([]float32, 6)}
	labels := Array{Shape: []int{2}, Data: []int64{0, 1}}
	more := func(names string, arrays ...Array) *sent {
		return begun(t).line(`{"arrays":[%s]}`, names).arrays(t, arrays...)
	}
	cutShort := begun(t)
	cutShort.Truncate(cutShort.Len() - 5)
	huge := begun(t).line(`{"arrays":["x","labels"]}`)
	huge.Write(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }\n"))
	for say, s := range map[string]*sent{
		"after 1 frames with 2 samples: want a line of JSON, the stream ends without":                      begun(t),
		`frame 1 (after 0 samples): array "labels": offset`:                                                cutShort,
		"last line: want the number of samples, 2 came, got 3":                                             begun(t).line(`{"end":true,"samples":3}`),
		"last line: want the number of samples, 2 came, got none":                                          begun(t).line(`{"end":true}`),
		"want nothing after the line with end":                                                             begun(t).line(`{"end":true,"samples":2}`).line("bye"),
		`want a line of JSON such as {"arrays":["input","labels"]}, got "loading model"`:                   (&sent{}).line("loading model"),
		`got version 2 and part "train"`:                                                                   (&sent{}).line(`{"entangle":2,"part":"train"}`),
		`want {"entangle":1,"part":"train"}, the part that the program was asked for, got version 1 and p`: (&sent{}).line(`{"entangle":1,"part":"test"}`),
		`unknown field "array"`:                                                                            begun(t).line(`{"array":["x"]}`),
		"want the names of arrays":                                                                         begun(t).line(`{}`),
		`frame 2 (after 2 samples): array "x": named twice`:                                                more(`"x","x"`, x, x),
		`frame 2 (after 2 samples): want the arrays of the first frame, "x" f32[3] and labels, got ["x"]`:  more(`"x"`, x),
		`array "y": want the arrays of the first frame, "x" f32[3]`:                                        more(`"y","labels"`, x, labels),
		`array "x": want samples of [3] as in the first frame, got [2]`:                                    more(`"x","labels"`, Array{Shape: []int{2, 2}, Data: make([]float32, 4)}, labels),
		`array "x": want floats as in the first frame, got integers`:                                       more(`"x","labels"`, Array{Shape: []int{2, 3}, Data: make([]int64, 6)}, labels),
		`array "labels": want labels as in the first frame, a class a sample, got a float a sample`:        more(`"x","labels"`, x, Array{Shape: []int{2}, Data: []float32{0, 1}}),
		`array "labels": want 2 samples as in array "x", got 1`:                                            more(`"x","labels"`, x, Array{Shape: []int{1}, Data: []int64{1}}),
		`array "x": want samples along the first axis, got shape []`:                                       more(`"x","labels"`, Array{Shape: []int{}, Data: []float32{1}}),
		`array "x": sample 3: want finite numbers, got NaN`:                                                more(`"x","labels"`, Array{Shape: []int{2, 3}, Data: []float64{0, 0, 0, 0, math.NaN(), 0}}, labels),
		`array "x": offset 10: want at most 2³⁰ bytes`:                                                     huge,
		`array "x": offset 0: want the .npy magic string`:                                                  begun(t).line(`{"arrays":["x","labels"]}`).line("no array, no array"),
		`want an array for each model input, got none beside "labels"`:                                     (&sent{}).line(`{"entangle":1,"part":"train"}`).line(`{"arrays":["labels"]}`).arrays(t, labels),
		"want samples of the part train, val or test, got none of any":                                     nil,
	} {
		spec := program(t, map[string]*sent{"train": s})
		wantError(t, spec, Options{}, "data: cmd:", say)
	}
	test := (&sent{}).line(`{"entangle":1,"part":"test"}`).line(`{"arrays":["z"]}`).arrays(t, x).line(`{"end":true,"samples":2}`)
	wantError(t, program(t, map[string]*sent{"train": begun(t).line(`{"end":true,"samples":2}`), "test": test}), Options{}, `part "test"`, `want the arrays of the first part, "x" f32[3], got "z" f32[3]`)
}

// What the model takes is checked at the first frame, and told to the program.
func TestCommandMeetsModel(t *testing.T) {
	spec := program(t, map[string]*sent{"train": begun(t)}) // cut short after the first frame
	wantError(t, spec, Options{Inputs: []ModelInput{{Name: "x", Shape: []int{-1, 4}}}}, `part "train": frame 1: model input "x": want samples of shape [4], got [3]`)
	wantError(t, spec, Options{Inputs: []ModelInput{{Name: "a", Shape: []int{-1, 3}}, {Name: "b", Shape: []int{-1, 3}}}}, `model input "a": want an array of that name, got "x"`)
	asked := filepath.Join(t.TempDir(), "asked")
	wantError(t, "cmd:cat > '"+asked+"'; exit 1", Options{Limit: 7, Inputs: []ModelInput{{Name: "x", Shape: []int{-1, 3}}, {Name: "n", Shape: []int{2}, Integer: true}, {Name: "u"}}}, "exit status 1")
	got, err := os.ReadFile(asked)
	if want := `{"entangle":1,"part":"train","limit":7,"inputs":[{"name":"x","dtype":"float32","shape":[null,3]},{"name":"n","dtype":"int64","shape":[2]},{"name":"u","dtype":"float32","shape":null}]}` + "\n"; err != nil || string(got) != want {
		t.Errorf("want the program to be told %s, got %s, %v", want, got, err)
	}
}

func TestCommandThatFails(t *testing.T) {
	wantError(t, "cmd:echo no such drive >&2; exit 3", Options{}, `part "train": the program failed: exit status 3; its output: first line: want a line of JSON`, "its standard error:\nno such drive")
	wantError(t, "cmd:/none/such", Options{}, "exit status 127", "/none/such")
	whole := program(t, map[string]*sent{"train": begun(t).line(`{"end":true,"samples":2}`)})
	wantError(t, whole+"; echo too late >&2; exit 4", Options{}, "the program failed after 2 samples: exit status 4", "too late")
	wantError(t, "cmd:for i in 1 2 3 4 5 6 7 8 9; do printf '%01000d\\n' $i >&2; done; exit 1", Options{}, "its standard error:\n…0", "9")
}

// ends waits until a process is gone.
func ends(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for range 500 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d, a child of the program, still runs", pid)
}

// The children of a program that is of no more use are killed with it.
func TestCommandIsKilled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	child := "cmd:sleep 600 & echo $! > '" + file + "'; "
	start := time.Now()
	wantError(t, child+"echo nonsense; wait", Options{}, `got "nonsense"`)
	ends(t, file)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for range 500 {
			if text, err := os.ReadFile(file); err == nil && len(text) > 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	os.Remove(file)
	if _, err := Open(child+"wait", Options{Host: &Host{Context: ctx}}); !errors.Is(err, context.Canceled) {
		t.Errorf("want the context's error, got %v", err)
	}
	ends(t, file)
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

// The examples of the documentation stream the same samples.
func TestCommandExamples(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program: skipped by -short")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 on the path")
	}
	binary := filepath.Join(t.TempDir(), "stream")
	if out, err := exec.Command("go", "build", "-o", binary, "../examples/stream").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var digests []string
	for _, command := range []string{python + " ../examples/stream/stream.py", binary} {
		for _, o := range []Options{{}, {Limit: 12}} {
			set := must[*Set](t)(Open("cmd:"+command, o))
			n := 64
			if o.Limit > 0 {
				n = 12
			}
			if p := set.Part("train"); p.Len() != n || len(set.Classes) != 4 || set.Part("val") == nil || !slices.Equal(set.Shape(), []int{1, 8, 8}) || !set.Fields[0].Image {
				t.Errorf("%s: got %d samples of %v", command, p.Len(), set.Shape())
			}
			digests = append(digests, must[string](t)(set.Digest()))
		}
	}
	if digests[0] != digests[2] || digests[1] != digests[3] || digests[0] == digests[1] {
		t.Errorf("want the same samples of both, got %q", digests)
	}
}

func TestCommandSpec(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	s := &Set{}
	got := s.AbsoluteSpec("cmd:cat x")
	if want := "cmd:cd '" + dir + "' && cat x"; got != want || s.AbsoluteSpec(got) != want {
		t.Errorf("want %q, got %q", want, got)
	}
}

func FuzzStream(f *testing.F) {
	s := &sent{}
	s.line(`{"entangle":1,"part":"train"}`).line(`{"arrays":["x","labels"]}`)
	for _, a := range []Array{{Shape: []int{2, 3}, Data: []float32{0, 1, 2, 3, 4, 5}}, {Shape: []int{2}, Data: []int64{1, 0}}} {
		if err := WriteNPY(s, a); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(s.line(`{"end":true,"samples":2}`).Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		left := int64(1 << 20)
		s := newStream(bytes.NewReader(raw), "train", Options{}, &left)
		if err := s.read(func() error { return nil }); err != nil || s.samples == 0 {
			return
		}
		set := &Set{}
		if err := s.finish(set); err != nil || set.countClasses() != nil || set.finish() != nil {
			return
		}
		for i, f := range set.Fields {
			var err error
			if c := set.Parts[0].columns[i]; f.DType == prim.I64 {
				err = c.(intReader).readInts(s.samples-1, make([]int64, prim.Prod(f.Shape)))
			} else {
				err = c.read(s.samples-1, make([]float32, prim.Prod(f.Shape)))
			}
			if err != nil && !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		}
	})
}
