package space_test

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/importer"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/space"
)

// parsed reads a graph whose initialisers leave out their elements, which are all 1.
func parsed(t *testing.T, text string) *space.Analysis {
	t.Helper()
	text = regexp.MustCompile(`init \w+ float32\[([\d,]+)\]`).ReplaceAllStringFunc(text, func(s string) string {
		n := 1
		for _, d := range strings.Split(s[strings.Index(s, "[")+1:len(s)-1], ",") {
			size, _ := strconv.Atoi(d)
			n *= size
		}
		return s + " = [" + strings.Join(slices.Repeat([]string{"1"}, n), ", ") + "]"
	})
	raw, err := ir.Parse("model { ir 8 opset _ 17 } graph g { " + text + " }")
	if err != nil {
		t.Fatal(err)
	}
	m, err := importer.Normal(raw)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ops.InferModel(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	an, err := space.Analyse(m, f)
	if err != nil {
		t.Fatal(err)
	}
	return an
}

// TestReasons states what the space offers in small graphs and why it offers no more. Nodes
// without a name are named by what they make.
func TestReasons(t *testing.T) {
	const kept = `graph output "y" keeps its shape`
	const three = `kernel_shape=[3, 3] pads=[1, 1, 1, 1]`
	for _, c := range []struct {
		name, text string
		dims       []string
		reasons    map[string]string // of weight "w", by axis
	}{
		{"even kernel", `input x float32[1,16,8,8] output y none init w float32[16,16,2,2] node _: (y) = Conv(x, w)`, nil,
			map[string]string{"0": kept, "1": `graph input "x" keeps its shape`, "2": `node "y" (Conv): a kernel of an even size has no centre to shrink to`}},
		{"little padding", `input x float32[1,16,8,8] output y none init w float32[16,16,3,3] node _: (y) = Conv(x, w)`, nil,
			map[string]string{"3": `node "y" (Conv): the kernel is padded by less than half of its size, so that a smaller one would see other positions`}},
		{"sides", `input x float32[1,16,8,8] output y none init w float32[16,16,3,5] node c: (y) = Conv(x, w) pads=[1, 2, 1, 2]`, nil,
			map[string]string{"2": `node "c" (Conv): only a square kernel may shrink`}},
		{"transposed", `input x float32[1,16,8,8] output y none init w float32[16,16,3,3] node c: (y) = ConvTranspose(x, w)`, nil,
			map[string]string{"2": `node "c" (ConvTranspose): the kernel of a transposed convolution keeps its size`}},
		{"shared", `input x float32[1,16,8,8] output y none init w float32[16,16,3,3] node _: (u) = Conv(x, w) ` + three + ` node _: (y) = Conv(u, w) ` + three,
			[]string{"kernel:u"}, map[string]string{"2": "", "3": ""}},
		{"shared with one that has no padding", `input x float32[1,16,8,8] output y none init w float32[16,16,3,3] node _: (u) = Conv(x, w) ` + three + ` node _: (y) = Conv(u, w)`,
			nil, map[string]string{"2": `nodes "u" and "y" share it, and it may not shrink in the second`}},
		{"few units", `input x float32[1,16,8,8] output y none init w float32[8,16,1,1] init v float32[16,8,1,1] node c: (u) = Conv(x, w) node d: (y) = Conv(u, v)`,
			nil, map[string]string{"0": "8 units have no smaller number that is a multiple of 8 and at least 0.25 of them"}},
		{"one channel", `input x float32[1,16,8,8] output y none init w float32[1,16,1,1] node c: (u) = Conv(x, w) node d: (y) = Mul(x, u)`,
			nil, map[string]string{"0": "one unit only: nothing is left without it"}},
		{"turned", `input x float32[1,16,8,8] output y none init w float32[16,16,1,1] init v float32[16,16,1,1] init i int64[16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0]
			node c: (u) = Conv(x, w) node _: (r) = Gather(u, i) axis=1 node _: (a) = Add(u, r) node d: (y) = Conv(a, v)`,
			nil, map[string]string{"0": `one unit only: its positions are tied to each other through node "r" (Gather)`}},
		{"groups in equal steps", `input x float32[1,16,8,8] output y none init w float32[32,16,1,1] init s float32[32] init v float32[16,32,1,1] init t int64[3] = [0, 8, -1] init k int64[4] = [0, 32, 8, 8] init o float32[8]
			node c: (u) = Conv(x, w) node _: (r) = Reshape(u, t) node _: (n) = InstanceNormalization(r, o, o) node _: (b) = Reshape(n, k) node d: (y) = Conv(b, v)`,
			[]string{"width:c"}, map[string]string{"0": ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			an := parsed(t, c.text)
			o := space.DefaultOptions()
			s, err := space.New(an, o)
			if err != nil {
				s = &space.Space{}
			}
			effects, err := s.Bind(an)
			if err != nil {
				t.Fatal(err)
			}
			var dims []string
			for _, d := range s.Dims {
				dims = append(dims, d.Name)
			}
			if !slices.Equal(dims, c.dims) {
				t.Errorf("want dimensions %q, got %q", c.dims, dims)
			}
			got := an.Reasons(s, effects, o)["w"]
			for _, axis := range slices.Sorted(maps.Keys(c.reasons)) {
				a, _ := strconv.Atoi(axis)
				if got[a] != c.reasons[axis] {
					t.Errorf("axis %d: want %q, got %q", a, c.reasons[axis], got[a])
				}
			}
		})
	}
}
