package data

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/entangle-nas/entangle/internal/rng"
)

// View is an ordered choice of samples of one part.
type View struct {
	Name  string
	Index []int // positions in the part

	part *Part
}

// Share is one piece of a split.
type Share struct {
	Name     string
	Fraction float64
}

// Len returns the number of samples.
func (v View) Len() int { return len(v.Index) }

// Set returns the data set.
func (v View) Set() *Set { return v.part.set }

// Part returns the part that v chooses from.
func (v View) Part() *Part { return v.part }

// Label returns the class of sample i of the view; ok is false without labels.
func (v View) Label(i int) (label int64, ok bool) {
	if v.part.Labels == nil {
		return 0, false
	}
	return v.part.Labels[v.Index[i]], true
}

// Head returns the view of the first n samples, or v itself when it has no more.
func (v View) Head(n int) View {
	if n < len(v.Index) {
		v.Index = slices.Clone(v.Index[:n])
	}
	return v
}

// Split deals the samples of v into disjoint views, class by class, so that each
// has the class mix of v as nearly as whole samples allow. Fractions are above 0
// and sum to at most 1; what is over is in no view. The result depends on the
// samples, the seed, and the shares with their order. Samples of a stream are not
// dealt: each share is a stretch of it, the first share first, and what a stretch
// has in common with the one before it is left out.
func (v View) Split(seed uint64, shares ...Share) ([]View, error) {
	var errs []error
	var total float64
	names := map[string]bool{}
	for _, s := range shares {
		if !(s.Fraction > 0) {
			errs = append(errs, fmt.Errorf("data: split %q: want a fraction above 0, got %v", s.Name, s.Fraction))
		}
		if s.Name == "" || names[s.Name] {
			errs = append(errs, fmt.Errorf("data: split: want distinct names, got %q twice or empty", s.Name))
		}
		names[s.Name] = true
		total += s.Fraction
	}
	if total > 1+1e-9 {
		errs = append(errs, fmt.Errorf("data: split: want fractions that sum to at most 1, got %v", total))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	out := make([]View, len(shares))
	for i, s := range shares {
		out[i] = View{Name: s.Name, part: v.part}
	}
	if v.part.ordered {
		return v.stretches(out, shares)
	}
	r := rng.New(seed, "data/split/"+v.part.Name)
	// Cumulative bounds over all classes, so that rounding evens out between them.
	done, seen := make([]int, len(shares)), 0
	for _, g := range classGroups(v.part, v.Index) {
		r.Shuffle(len(g), func(i, j int) { g[i], g[j] = g[j], g[i] })
		seen += len(g)
		at := 0
		for i, s := range shares {
			n := int(s.Fraction*float64(seen)+0.5) - done[i]
			n = max(min(n, len(g)-at), 0)
			out[i].Index = append(out[i].Index, g[at:at+n]...)
			done[i] += n
			at += n
		}
	}
	fillEmpty(out, shares, v.Len())
	for i := range out {
		slices.Sort(out[i].Index)
		if len(out[i].Index) == 0 {
			return nil, tooFew(shares[i], v.Len())
		}
	}
	return out, nil
}

// fillEmpty gives a share that rounding over many classes left empty one sample of the largest,
// where half a sample or more is its due.
func fillEmpty(out []View, shares []Share, samples int) {
	for i := range out {
		if len(out[i].Index) > 0 || shares[i].Fraction*float64(samples) < 0.5 {
			continue
		}
		most := 0
		for k := range out {
			if len(out[k].Index) > len(out[most].Index) {
				most = k
			}
		}
		if last := len(out[most].Index) - 1; last > 0 {
			out[i].Index = append(out[i].Index, out[most].Index[last])
			out[most].Index = out[most].Index[:last]
		}
	}
}

func tooFew(s Share, samples int) error {
	return fmt.Errorf("data: split %q: %v of %d samples is none: want at least %d samples, or a larger share", s.Name, s.Fraction, samples, int(math.Ceil(0.5/s.Fraction)))
}

// stretches fills out with runs of v in proportion to shares.
func (v View) stretches(out []View, shares []Share) ([]View, error) {
	sum := 0.0
	for i, s := range shares {
		lo := int(sum*float64(v.Len()) + 0.5)
		sum += s.Fraction
		hi := min(int(sum*float64(v.Len())+0.5), v.Len())
		if i > 0 {
			lo += v.part.overlap
		}
		if lo >= hi {
			return nil, fmt.Errorf("data: split %q: %v of %d samples is none beside the %d that it would share elements with: want more samples, or a larger share", s.Name, s.Fraction, v.Len(), v.part.overlap)
		}
		out[i].Index = slices.Clone(v.Index[lo:hi])
	}
	return out, nil
}

// Apart returns the samples of v that share no elements with one before them: of
// samples of a stream that overlap, every so manieth.
func (v View) Apart() View {
	if v.part.overlap == 0 {
		return v
	}
	var index []int
	for _, i := range v.Index {
		if len(index) == 0 || i > index[len(index)-1]+v.part.overlap {
			index = append(index, i)
		}
	}
	v.Index = index
	return v
}

// ends returns the samples of v whose successor in the stream is not in v.
func (v View) ends() map[int]bool {
	in := make(map[int]bool, len(v.Index))
	for _, i := range v.Index {
		in[i] = true
	}
	out := map[int]bool{}
	for _, i := range v.Index {
		if !in[i+1] {
			out[i] = true
		}
	}
	return out
}

// ParseShares reads a list such as "weights=0.4,alpha=0.4,val=0.2".
func ParseShares(text string) ([]Share, error) {
	var out []Share
	for _, item := range strings.Split(text, ",") {
		name, fraction, ok := strings.Cut(strings.TrimSpace(item), "=")
		v, err := strconv.ParseFloat(strings.TrimSpace(fraction), 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("data: split: want NAME=FRACTION with commas between, got %q", item)
		}
		out = append(out, Share{strings.TrimSpace(name), v})
	}
	return out, nil
}

// classGroups returns the samples of index by class, in class order; one group without labels.
func classGroups(p *Part, index []int) [][]int {
	if p.Labels == nil {
		return [][]int{slices.Clone(index)}
	}
	groups := make([][]int, len(p.set.Classes))
	for _, i := range index {
		groups[p.Labels[i]] = append(groups[p.Labels[i]], i)
	}
	return groups
}
