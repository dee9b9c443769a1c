package data

import (
	"slices"
	"strings"
	"testing"
)

func TestBind(t *testing.T) {
	set := synthetic(t, SyntheticOptions{Shape: [3]int{3, 6, 5}})
	if k, err := set.Bind([]ModelInput{{"x", []int{-1, 3, 6, -1}}}); err != nil || !slices.Equal(k, []int{0}) {
		t.Errorf("got %v, %v", k, err)
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
		{set, []ModelInput{{"x", []int{1, 1, 28, 28}}}, []string{`"x"`, "want samples of shape [1 28 28], got [3 6 5]"}},
		{set, []ModelInput{{"x", []int{1, 6, 5, 3}}}, []string{"layout nhwc"}},
		{last, []ModelInput{{"x", []int{1, 3, 6, 5}}}, []string{"channels first"}},
		{set, []ModelInput{{"x", []int{1, 3}}}, []string{"[3 6 5]"}},
		{set, []ModelInput{{"x", []int{-1, 3, 6, 5}}, {"y", nil}}, []string{`input "x"`, `input "y"`}},
		{set, nil, []string{"without"}},
	} {
		_, err := c.set.Bind(c.in)
		for _, say := range c.say {
			if err == nil || !strings.Contains(err.Error(), say) {
				t.Errorf("%v: want an error that says %q, got %v", c.in, say, err)
			}
		}
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
