package space_test

import (
	"reflect"
	"strings"
	"testing"

	"math/rand/v2"

	"github.com/entangle-nas/entangle/models"
	"github.com/entangle-nas/entangle/space"
)

// TestSpaceFile: a space survives its file, order included.
func TestSpaceFile(t *testing.T) {
	an := analysed(t, "knot", models.Options{})
	s := offered(t, an, space.Options{Divisor: 1})
	scramble(s, 3, rand.New(rand.NewPCG(1, 1)))
	text, err := s.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := space.Unmarshal(text)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s, back) {
		t.Errorf("want %+v, got %+v", s, back)
	}
	if back.Source != space.Fingerprint(an.Model) {
		t.Error("the file does not name its model")
	}
	if again, err := back.Marshal(); err != nil || string(again) != string(text) {
		t.Errorf("written again: %v\n%s", err, again)
	}
}

// TestSpaceFileErrors: what a hand may do wrong in space.yaml.
func TestSpaceFileErrors(t *testing.T) {
	an := analysed(t, "knot", models.Options{})
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "version: 1\nsizes: 3\n", `[2:1] unknown field "sizes"`},
		{"unknown key of a dim", "version: 1\ndimensions:\n- {name: a, colour: red}\n", `unknown field "colour"`},
		{"no version", "source: x\n", "version: want 1, got 0"},
		{"later version", "version: 2\n", "version: want 1, got 2"},
		{"not yaml", "version: [", "space: read: "},
		{"unknown kind", "version: 1\ndimensions:\n- {name: a, kind: shade, node: stem.conv, choices: [1]}\n", `kind "shade": want one of [width head-width kernel depth operations]`},
		{"twice", "version: 1\ndimensions:\n- {name: a, kind: kernel, node: stem.conv, choices: [3]}\n- {name: a, kind: kernel, node: stem.conv, choices: [3]}\n", `dimension "a" stands twice`},
		{"unknown group", "version: 1\ndimensions:\n- {name: a, kind: width, node: none, choices: [4]}\n", `the model has no elastic group "none"`},
		{"unknown node", "version: 1\ndimensions:\n- {name: a, kind: kernel, node: none, choices: [3]}\n", `the model has no node "none"`},
		{"no kernel", "version: 1\ndimensions:\n- {name: a, kind: kernel, node: fc, choices: [3]}\n", `its kernel cannot shrink`},
		{"no branch", "version: 1\ndimensions:\n- {name: a, kind: depth, node: fc, choices: [0, 1]}\n", `does not add a residual branch`},
		{"choices descend", "version: 1\ndimensions:\n- {name: a, kind: width, node: stem.conv, choices: [3, 2, 4]}\n", "want ascending numbers from 1 on, got [3 2 4]"},
		{"choices repeat", "version: 1\ndimensions:\n- {name: a, kind: width, node: stem.conv, choices: [2, 2, 4]}\n", "want ascending numbers"},
		{"zero", "version: 1\ndimensions:\n- {name: a, kind: width, node: stem.conv, choices: [0, 4]}\n", "want ascending numbers from 1 on, got [0 4]"},
		{"no original", "version: 1\ndimensions:\n- {name: a, kind: width, node: stem.conv, choices: [1, 2]}\n", "end with the original 4, got [1 2]"},
		{"no choices", "version: 1\ndimensions:\n- {name: a, kind: width, node: stem.conv}\n", "end with the original 4, got []"},
		{"even kernel", "version: 1\ndimensions:\n- {name: a, kind: kernel, node: stem.conv, choices: [2, 3]}\n", "want odd sizes, got [2 3]"},
		{"order too short", "version: 1\ndimensions:\n- {name: a, kind: width, node: stem.conv, choices: [4], order: [0, 1]}\n", "want a permutation of 0…3, got 2 entries"},
		{"order repeats", "version: 1\ndimensions:\n- {name: a, kind: width, node: stem.conv, choices: [4], order: [0, 1, 1, 2]}\n", "entry 2 is 1"},
		{"order too far", "version: 1\ndimensions:\n- {name: a, kind: width, node: stem.conv, choices: [4], order: [0, 1, 2, 4]}\n", "entry 3 is 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := space.Unmarshal([]byte(c.text))
			if err == nil {
				_, err = space.Entangle(an, s, space.Every)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v", c.want, err)
			}
		})
	}
	if _, err := space.Entangle(an, offered(t, an, space.Options{Divisor: 1}), "both"); err == nil {
		t.Error("an unknown superposition was accepted")
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		glob, name string
		want       bool
	}{
		{"a.conv", "a.conv", true}, {"a.conv", "a.conv2", false}, {"a.*", "a.b/c", true}, {"*", "", true}, {"*", "x", true},
		{"*.conv", "a.conv", true}, {"*.conv", "a.conv.x", false}, {"a*b*c", "a1b2c", true}, {"a*b*c", "acb", false},
		{"ab*ba", "aba", false}, {"a*a", "a", false}, {"**", "x", true}, {"", "x", false}, {"", "", true},
		{"*aa*", "aaa", true}, {"a*bc*bc", "abcbc", true}, {"a*bc*bc", "abc", false},
	} {
		if got := space.Matches([]string{c.glob}, c.name); got != c.want {
			t.Errorf("%q against %q: want %v, got %v", c.glob, c.name, c.want, got)
		}
	}
	if space.Matches(nil, "x") || !space.Matches([]string{"y", "x"}, "x") {
		t.Error("any glob of a list must match, and none of an empty one does")
	}
}

// TestOptions: elastic and keep select dims by the nodes that they touch.
func TestOptions(t *testing.T) {
	an := analysed(t, "knot", models.Options{})
	names := func(o space.Options) string {
		s, err := space.New(an, o)
		if err != nil {
			return err.Error()
		}
		var out []string
		for _, d := range s.Dims {
			out = append(out, d.Name)
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		name string
		o    space.Options
		want string
	}{
		{"all", space.Options{Divisor: 1}, "width:stem.conv width:side0.conv kernel:stem.conv kernel:square.conv kernel:joint.conv depth:square.add depth:joint.add"},
		{"one kind", space.Options{Divisor: 1, Kinds: []string{"depth"}}, "depth:square.add depth:joint.add"},
		{"elastic", space.Options{Divisor: 1, Elastic: []string{"side*"}}, "width:side0.conv"},
		{"keep a tied node", space.Options{Divisor: 1, Keep: []string{"square.*"}}, "width:side0.conv kernel:stem.conv kernel:joint.conv depth:joint.add"},
		{"keep wins", space.Options{Divisor: 1, Elastic: []string{"*"}, Keep: []string{"*"}}, `space: nothing in this model may change: 2 groups found, divisor 1, smallest ratio 0.25, elastic ["*"], keep ["*"]`},
		{"divisor beyond widths", space.Options{Kinds: []string{"width"}}, `space: nothing in this model may change: 2 groups found, divisor 8, smallest ratio 0.25, elastic [], keep []`},
		{"negative divisor", space.Options{Divisor: -1}, "space: options: want divisor ≥ 1, smallest ratio in [0, 1] and at least 1 choice, got {Divisor:-1 MinRatio:0.25 MaxChoices:8 Kinds:[] Elastic:[] Keep:[] Operations:[]}"},
		{"unknown kind", space.Options{Kinds: []string{"shade"}}, `space: kind "shade": want one of [width head-width kernel depth operations]`},
	} {
		if got := names(c.o); got != c.want {
			t.Errorf("%s: want\n%s\ngot\n%s", c.name, c.want, got)
		}
	}
}

// TestWidthChoices: multiples of the divisor from the smallest ratio up, thinned, and the original.
func TestWidthChoices(t *testing.T) {
	an := analysed(t, "vgg-small-tiny", models.Options{Width: 20})
	for _, c := range []struct {
		o    space.Options
		want []int
	}{
		{space.Options{}, []int{8, 16, 20}},
		{space.Options{Divisor: 4}, []int{8, 12, 16, 20}},
		{space.Options{Divisor: 5, MinRatio: 0.25}, []int{5, 10, 15, 20}},
		{space.Options{Divisor: 1, MaxChoices: 3}, []int{5, 12, 20}},
		{space.Options{Divisor: 1, MinRatio: 0.9}, []int{18, 19, 20}},
	} {
		s := offered(t, an, c.o)
		if got := s.Dims[0].Choices; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: want %v, got %v", c.o, c.want, got)
		}
	}
}

// TestForbiddenSkip: a branch whose choice 0 was removed from the file stays.
func TestForbiddenSkip(t *testing.T) {
	an := analysed(t, "knot", models.Options{})
	s := offered(t, an, space.Options{Kinds: []string{"depth"}})
	for i := range s.Dims {
		s.Dims[i].Choices = []int{1}
	}
	if _, closed, err := entangled(t, an, s, space.Every).Cut(s.Smallest()); err != nil || len(closed) > 0 {
		t.Errorf("want no branch skipped, got %v, %v", closed, err)
	}
	lossOf(t, an, s, 5).loss([][]float64{{1}, {1}})
}
