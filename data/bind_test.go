package data

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/engine/prim"
)

func TestBind(t *testing.T) {
	set := synthetic(t, SyntheticOptions{Shape: [3]int{3, 6, 5}})
	b, err := set.Bind([]ModelInput{{Name: "x", Shape: []int{-1, 3, 6, -1}, Dims: []string{"n"}}})
	if err != nil || !slices.Equal(b.Fields, []int{0}) || b.Batch != 0 || !maps.Equal(b.Dims, map[string]int{"x:3": 5}) {
		t.Fatalf("got %+v, %v", b, err)
	}
	if sizes, err := b.Sizes(7); err != nil || !maps.Equal(sizes, map[string]int{"n": 7, "x:3": 5}) {
		t.Errorf("sizes: got %v, %v", sizes, err)
	}
	if b, err := set.Bind([]ModelInput{{Name: "x", Shape: []int{4, 3, -1, 5}, Dims: []string{"", "", "h"}}}); err != nil || b.Batch != 4 || b.Dims["h"] != 6 {
		t.Errorf("a fixed batch: got %+v, %v", b, err)
	}
	if b, err := set.Bind([]ModelInput{{Name: "x"}}); err != nil || len(b.Dims) != 0 {
		t.Errorf("an unknown rank: got %+v, %v", b, err)
	}
	if got := set.BatchType(0, 7).String(); got != "f32[7 3 6 5]" {
		t.Errorf("batch type: got %s", got)
	}
	last := synthetic(t, SyntheticOptions{Shape: [3]int{3, 6, 5}, Data: Options{Layout: NHWC}})
	for _, c := range []struct {
		set *Set
		in  []ModelInput
		say []string
	}{
		{set, []ModelInput{{Name: "x", Shape: []int{1, 1, 28, 28}}}, []string{`"x"`, "want samples of shape [1 28 28], got [3 6 5]"}},
		{set, []ModelInput{{Name: "x", Shape: []int{1, 6, 5, 3}}}, []string{"layout nhwc"}},
		{last, []ModelInput{{Name: "x", Shape: []int{1, 3, 6, 5}}}, []string{"channels first"}},
		{set, []ModelInput{{Name: "x", Shape: []int{1, 3}}}, []string{"[3 6 5]"}},
		{set, []ModelInput{{Name: "x", Shape: []int{}}}, []string{"want samples of shape [], got [3 6 5]"}},
		{set, []ModelInput{{Name: "x", Shape: []int{-1, 3, 6, 5}}, {Name: "y"}}, []string{`input "x"`, `input "y"`, `field "": want a model input for it, got ["x" "y"]`}},
		{set, []ModelInput{{Name: "x", Shape: []int{-1, -1, -1, 5}, Dims: []string{"n", "c", "c"}}}, []string{`dimension "c" would be both 3 and 6`}},
		{set, nil, []string{"without"}},
	} {
		_, err := c.set.Bind(c.in)
		for _, say := range c.say {
			if err == nil || !strings.Contains(err.Error(), say) {
				t.Errorf("%v: want an error that says %q, got %v", c.in, say, err)
			}
		}
	}
	b, err = set.Bind([]ModelInput{{Name: "x", Shape: []int{-1, 3, 6, -1}, Dims: []string{"n", "", "", "n"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Sizes(7); err == nil || !strings.Contains(err.Error(), `dimension "n" would be both the batch, 7, and 5`) {
		t.Errorf("a sample's size as the batch: got %v", err)
	}
	if sizes, err := b.Sizes(5); err != nil || sizes["n"] != 5 {
		t.Errorf("a batch of the sample's size: got %v, %v", sizes, err)
	}
}

// TestBindSeveral: names first, then what shapes and kinds of numbers single out.
func TestBindSeveral(t *testing.T) {
	floats := func(name string, shape ...int) Field { return Field{Name: name, Shape: shape, DType: prim.F32} }
	set := &Set{Spec: "npz:s", Fields: []Field{
		floats("pixels", 4, 4), {Name: "words", Shape: []int{6}, DType: prim.I64}, floats("meta", 3), {Name: "mask", Shape: []int{6}, DType: prim.I64, Optional: true},
	}}
	twins := &Set{Spec: "npz:t", Fields: []Field{floats("left", 3), floats("right", 3)}}
	in := func(name string, shape ...int) ModelInput {
		return ModelInput{Name: name, Shape: append([]int{-1}, shape...)}
	}
	whole := func(name string, shape ...int) ModelInput {
		x := in(name, shape...)
		x.Integer = true
		return x
	}
	for _, c := range []struct {
		name string
		set  *Set
		in   []ModelInput
		want []int
		say  []string
	}{
		{"by name, in any order", set, []ModelInput{in("meta", 3), whole("mask", 6), in("pixels", 4, 4), whole("words", 6)}, []int{2, 3, 0, 1}, nil},
		{"by shape", set, []ModelInput{in("a", -1), whole("b", -1), in("c", 4, -1)}, []int{2, 1, 0}, nil},
		{"the rest by shape", set, []ModelInput{in("meta", 3), whole("mask", 6), in("image", 4, 4), whole("tokens", 6)}, []int{2, 3, 0, 1}, nil},
		{"one that any field fits goes last", set, []ModelInput{{Name: "any"}, whole("b", 6), in("c", 4, 4)}, []int{2, 1, 0}, nil},
		{"two assignments", twins, []ModelInput{in("a", 3), in("b", 3)}, nil, []string{`input "a": want an array of that name, got "left", "right" (by its shape it could be any of "left", "right")`, `input "b"`, `field "left"`, `field "right"`}},
		{"one name settles the other", twins, []ModelInput{in("a", 3), in("left", 3)}, []int{1, 0}, nil},
		{"no assignment", twins, []ModelInput{in("a", 3), in("b", 4)}, nil, []string{`input "a"`, `input "b"`}},
		{"fewer inputs", set, []ModelInput{in("pixels", 4, 4), in("meta", 3)}, nil, []string{`field "words": want a model input for it, got ["pixels" "meta"]`}},
		{"more inputs", twins, []ModelInput{in("left", 3), in("right", 3), in("b", 3)}, nil, []string{`input "b": want an array of that name, got "left", "right"`}},
		{"integers for floats", set, []ModelInput{in("pixels", 4, 4), in("words", 6), in("meta", 3)}, nil, []string{`input "words": it takes floats, the data's field "words" has integers`}},
		{"two fixed batches", twins, []ModelInput{{Name: "left", Shape: []int{2, 3}}, {Name: "right", Shape: []int{3, 3}}}, nil, []string{`input "right": want the batch of the inputs before it, 2, got 3`}},
		{"all faults", set, []ModelInput{in("pixels", 4, 5), in("words", 7)}, nil, []string{"want samples of shape [4 5], got [4 4]", "it takes floats", "want samples of shape [7], got [6]", `field "meta"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := c.set.Bind(c.in)
			if c.want != nil && (err != nil || !slices.Equal(b.Fields, c.want)) {
				t.Errorf("want %v, got %+v, %v", c.want, b, err)
			}
			if c.want == nil && err == nil {
				t.Errorf("want an error, got %v", b.Fields)
			}
			for _, say := range c.say {
				if err == nil || !strings.Contains(err.Error(), say) {
					t.Errorf("want an error that says %q, got %v", say, err)
				}
			}
		})
	}
}

func TestParseShares(t *testing.T) {
	got, err := ParseShares("weights=0.4, alpha = 0.6")
	if err != nil || !slices.Equal(got, []Share{{"weights", 0.4}, {"alpha", 0.6}}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "a", "a=x", "a=1,"} {
		if _, err := ParseShares(bad); err == nil {
			t.Errorf("%q: want an error", bad)
		}
	}
}

// TestBindCaches: a past that the data do not give is empty, and an input that takes part of
// what they hold says which.
func TestBindCaches(t *testing.T) {
	whole := &Set{Spec: "npz:s", Fields: []Field{{Name: "ids", Shape: []int{5}, DType: prim.I64}, {Name: "past", Shape: []int{4, 3, 2}, DType: prim.F32}}}
	none := &Set{Spec: "npz:t", Fields: whole.Fields[:1]}
	ids := ModelInput{Name: "ids", Shape: []int{-1, -1}, Dims: []string{"batch", "seq"}, Integer: true}
	kept := [][]int{nil, {0, 2}, nil, nil}
	past := func(heads int) ModelInput {
		in := ModelInput{Name: "past", Shape: []int{-1, heads, -1, 2}, Dims: []string{"batch", "", "before", ""}, Past: 2}
		if heads < 4 {
			in.From, in.Kept = []int{-1, 4, -1, 2}, kept
		}
		return in
	}
	for _, c := range []struct {
		name   string
		set    *Set
		past   ModelInput
		fields []int
		before int
		kept   bool
		say    string
	}{
		{"all heads", whole, past(4), []int{0, 1}, 3, false, ""},
		{"some heads", whole, past(2), []int{0, 1}, 3, true, ""},
		{"no past", none, past(2), []int{0, -1}, 0, false, ""},
		{"heads of another model", whole, ModelInput{Name: "past", Shape: []int{-1, 2, -1, 2}, Past: 2}, nil, 0, false, "want samples of shape [2 -1 2], got [4 3 2]"},
		{"no input of a past", none, ModelInput{Name: "past", Shape: []int{-1, 4, -1, 2}}, nil, 0, false, `input "past": want an array of that name`},
		{"a second open size", none, ModelInput{Name: "past", Shape: []int{-1, -1, -1, 2}, Past: 2}, nil, 0, false, `input "past": want an array of that name`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := c.set.Bind([]ModelInput{ids, c.past})
			if c.say != "" {
				if err == nil || !strings.Contains(err.Error(), c.say) {
					t.Errorf("want an error that says %q, got %v", c.say, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(b.Fields, c.fields) || b.Dims["before"] != c.before || (b.Kept[1] != nil) != c.kept {
				t.Errorf("want fields %v, a past of %d and a part: %t, got %+v", c.fields, c.before, c.kept, b)
			}
		})
	}
}
