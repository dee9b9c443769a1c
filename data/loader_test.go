package data

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/internal/rng"
)

func synthetic(t *testing.T, o SyntheticOptions) *Set {
	t.Helper()
	if o.Classes == 0 {
		o.Classes = 3
	}
	if o.Shape == [3]int{} {
		o.Shape = [3]int{2, 6, 5}
	}
	if o.Train == 0 {
		o.Train, o.Test = 50, 9
	}
	return must[*Set](t)(Synthetic(o))
}

func steps(t *testing.T, text string) []Step {
	t.Helper()
	return must[[]Step](t)(ParseAugments(text))
}

func TestSplitIsDisjointAndStratified(t *testing.T) {
	set := synthetic(t, SyntheticOptions{Classes: 4, Train: 203, Test: 8})
	shares := []Share{{"weights", 0.4}, {"alpha", 0.35}, {"val", 0.25}}
	parts := must[[]View](t)(set.Part("train").All().Split(5, shares...))
	seen := map[int]bool{}
	for i, p := range parts {
		if want := shares[i].Fraction * 203; math.Abs(float64(p.Len())-want) > 1.01 {
			t.Errorf("%s: want about %v samples, got %d", p.Name, want, p.Len())
		}
		count := make([]int, 4)
		for k, at := range p.Index {
			if seen[at] {
				t.Fatalf("sample %d is in two views", at)
			}
			seen[at] = true
			label, _ := p.Label(k)
			count[label]++
		}
		if slices.Max(count)-slices.Min(count) > 2 {
			t.Errorf("%s: want equal shares of the classes, got %v", p.Name, count)
		}
	}
	if len(seen) != 203 {
		t.Errorf("want every sample dealt, got %d", len(seen))
	}
	again := must[[]View](t)(set.Part("train").All().Split(5, shares...))
	other := must[[]View](t)(set.Part("train").All().Split(6, shares...))
	if !slices.Equal(again[0].Index, parts[0].Index) || slices.Equal(other[0].Index, parts[0].Index) {
		t.Error("want the same views for the same seed alone")
	}
	for _, bad := range [][]Share{{{"a", 0.7}, {"b", 0.4}}, {{"a", 0}}, {{"a", 0.5}, {"a", 0.5}}, {{"a", math.NaN()}}, {{"a", 1e-6}}} {
		if _, err := set.Part("train").All().Split(1, bad...); err == nil {
			t.Errorf("%v: want an error", bad)
		}
	}
}

func TestEpochCoversEverySampleOnce(t *testing.T) {
	v := synthetic(t, SyntheticOptions{}).Part("train").All()
	l := must[*Loader](t)(v.Loader(LoaderOptions{Batch: 8, Shuffle: true, Seed: 1, Name: "x"}))
	defer l.Close()
	var epochs [2][]int
	for e := range epochs {
		n := 0
		err := l.Each(func(b *Batch) error {
			if b.Epoch != e || b.Step != n {
				t.Errorf("want epoch %d, step %d, got %d, %d", e, n, b.Epoch, b.Step)
			}
			n++
			epochs[e] = append(epochs[e], b.Index[:b.Valid]...)
			if b.Last && (b.Valid != 2 || len(b.Index) != 8) {
				t.Errorf("last batch: want 2 valid of 8, got %d of %d", b.Valid, len(b.Index))
			}
			return nil
		})
		if err != nil || n != l.Batches() || n != 7 {
			t.Fatalf("want 7 batches, got %d, %v", n, err)
		}
		sorted := slices.Clone(epochs[e])
		slices.Sort(sorted)
		if !slices.Equal(sorted, v.Index) {
			t.Errorf("epoch %d: want every sample once, got %v", e, sorted)
		}
	}
	if slices.Equal(epochs[0], epochs[1]) {
		t.Error("want another order in the second epoch")
	}
	drop := must[*Loader](t)(v.Loader(LoaderOptions{Batch: 8, DropLast: true}))
	defer drop.Close()
	n := 0
	if err := drop.Each(func(b *Batch) error { n += b.Valid; return nil }); err != nil || n != 48 {
		t.Errorf("want 48 samples in whole batches, got %d, %v", n, err)
	}
	if _, err := v.Loader(LoaderOptions{Batch: 51, DropLast: true}); err == nil {
		t.Error("want an error when no batch is whole")
	}
}

// TestResume compares a loader that is stopped and restored, with another depth
// of prefetching, with one that runs through.
func TestResume(t *testing.T) {
	v := synthetic(t, SyntheticOptions{Noise: 0.1}).Part("train").All()
	o := LoaderOptions{Batch: 16, Shuffle: true, Soft: true, Seed: 3, Name: "w", Augment: steps(t, "crop:2,flip,cutout:3,mixup:0.4")}
	whole := must[*Loader](t)(v.Loader(o))
	defer whole.Close()
	var want []*Batch
	for range 11 {
		want = append(want, must[*Batch](t)(whole.Next()))
	}
	for stop := range 10 {
		o.Prefetch = 1 + stop%4
		first := must[*Loader](t)(v.Loader(o))
		for range stop {
			must[*Batch](t)(first.Next())
		}
		text, err := json.Marshal(first.State())
		if err != nil {
			t.Fatal(err)
		}
		first.Close()
		second := must[*Loader](t)(v.Loader(o))
		var s State
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		if err := second.Restore(s); err != nil {
			t.Fatal(err)
		}
		for k := stop; k < len(want); k++ {
			if got := must[*Batch](t)(second.Next()); !reflect.DeepEqual(got, want[k]) {
				t.Fatalf("stopped after %d: batch %d differs", stop, k)
			}
		}
		second.Close()
	}
	o.Batch = 8
	other := must[*Loader](t)(v.Loader(o))
	if err := other.Restore(whole.State()); err == nil {
		t.Error("want an error for a position of other options")
	}
	if err := whole.Restore(State{Epoch: 0, Step: 99, Key: whole.State().Key}); err == nil {
		t.Error("want an error for a step beyond the epoch")
	}
}

func TestCloseContinues(t *testing.T) {
	v := synthetic(t, SyntheticOptions{}).Part("train").All()
	l := must[*Loader](t)(v.Loader(LoaderOptions{Batch: 8}))
	must[*Batch](t)(l.Next())
	l.Close()
	l.Close()
	if b := must[*Batch](t)(l.Next()); b.Step != 1 {
		t.Errorf("want step 1 after closing, got %d", b.Step)
	}
	l.Close()
}

func TestMixup(t *testing.T) {
	set := synthetic(t, SyntheticOptions{})
	v := set.Part("train").All()
	l := must[*Loader](t)(v.Loader(LoaderOptions{Batch: 16, Soft: true, Seed: 1, Name: "m", Augment: steps(t, "mixup:1")}))
	defer l.Close()
	p := must[*Loader](t)(v.Loader(LoaderOptions{Batch: 16}))
	defer p.Close()
	err := l.Each(func(b *Batch) error {
		own := must[*Batch](t)(p.Next())
		size := len(own.Inputs[0].F32) / 16
		for i := range b.Valid {
			w, k := b.Lambda[i], b.Partner[i]
			if k >= b.Valid {
				t.Errorf("sample %d is mixed with padding", i)
			}
			for j := range size {
				want := w*own.Inputs[0].F32[i*size+j] + (1-w)*own.Inputs[0].F32[k*size+j]
				if got := b.Inputs[0].F32[i*size+j]; math.Abs(float64(got-want)) > 1e-6 {
					t.Fatalf("sample %d, element %d: want %v, got %v", i, j, want, got)
				}
			}
			target := make([]float32, 3)
			target[own.Labels.I64[i]] += w
			target[own.Labels.I64[k]] += 1 - w
			if got := b.Soft.F32[3*i : 3*i+3]; !slices.Equal(got, target) {
				t.Errorf("sample %d: want targets %v, got %v", i, target, got)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBetaMoments(t *testing.T) {
	for _, a := range []float64{0.05, 0.4, 1, 3} {
		r := rng.New(1, "test/beta")
		const n = 50000
		var mean, square float64
		for range n {
			x := beta(a, r)
			mean += x / n
			square += x * x / n
		}
		variance := 1 / (4 * (2*a + 1))
		if math.Abs(mean-0.5) > 0.01 || math.Abs(square-mean*mean-variance) > 0.01*0.25 {
			t.Errorf("a %v: want mean 0.5 and variance %v, got %v and %v", a, variance, mean, square-mean*mean)
		}
	}
}

func ramp(c, h, w int) *Image {
	x := &Image{C: c, H: h, W: w, Pix: make([]float32, c*h*w), Fill: make([]float32, c)}
	for i := range x.Pix {
		x.Pix[i] = float32(i + 1)
	}
	for i := range x.Fill {
		x.Fill[i] = -1 - float32(i)
	}
	return x
}

func TestFlip(t *testing.T) {
	x := ramp(2, 2, 3)
	flip.Apply(x, 1, rng.New(1, "f"))
	if want := []float32{3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10}; !slices.Equal(x.Pix, want) {
		t.Errorf("want %v, got %v", want, x.Pix)
	}
	flip.Apply(x, 0, rng.New(1, "f"))
	if x.Pix[0] != 3 {
		t.Error("want no flip at probability 0")
	}
}

func TestCropMatchesPadding(t *testing.T) {
	const c, h, w, pad = 2, 4, 3, 5
	r, same := rng.New(1, "c"), rng.New(1, "c")
	shifts := map[[2]int]bool{}
	for range 300 {
		x, old := ramp(c, h, w), ramp(c, h, w)
		crop.Apply(x, pad, r)
		dy, dx := same.IntN(2*pad+1)-pad, same.IntN(2*pad+1)-pad
		shifts[[2]int{dy, dx}] = true
		for k := range c {
			for y := range h {
				for i := range w {
					var want float32
					if sy, sx := y+dy, i+dx; sy >= 0 && sy < h && sx >= 0 && sx < w {
						want = old.Pix[(k*h+sy)*w+sx]
					}
					if got := x.Pix[(k*h+y)*w+i]; got != want {
						t.Fatalf("shift %d, %d: want %v, got %v", dy, dx, want, got)
					}
				}
			}
		}
	}
	if len(shifts) < 90 {
		t.Errorf("want nearly all of 121 shifts, got %d", len(shifts))
	}
}

func TestCutout(t *testing.T) {
	r := rng.New(1, "o")
	for range 50 {
		x, old := ramp(2, 5, 5), ramp(2, 5, 5)
		cutout.Apply(x, 3, r)
		n := [2]int{}
		for i, v := range x.Pix {
			if k := i / 25; v == x.Fill[k] {
				n[k]++
			} else if v != old.Pix[i] {
				t.Fatalf("element %d: got %v", i, v)
			}
		}
		if n[0] != n[1] || n[0] < 4 || n[0] > 9 {
			t.Errorf("want 4 to 9 pixels cut in both channels, got %v", n)
		}
	}
}

func TestParseAugments(t *testing.T) {
	s := steps(t, " crop:2 , flip")
	if len(s) != 2 || s[0].Name != "crop" || s[0].Amount != 2 || s[1].Amount != 0.5 {
		t.Errorf("got %v", s)
	}
	for _, bad := range []string{"spin", "crop:x", "crop:1.5", "flip:2", "mixup:0", "mixup,mixup", "crop:-1", ","} {
		if _, err := ParseAugments(bad); err == nil {
			t.Errorf("%q: want an error", bad)
		}
	}
}

func TestSyntheticIsSeparable(t *testing.T) {
	a := synthetic(t, SyntheticOptions{Seed: 4, Noise: 0.1})
	b := synthetic(t, SyntheticOptions{Seed: 4, Noise: 0.1})
	if !reflect.DeepEqual(a.Part("train").columns, b.Part("train").columns) || reflect.DeepEqual(a.Part("train").columns, a.Part("test").columns) {
		t.Error("want the bytes to follow from the seed, and the parts to differ")
	}
	// The phase is random, so the squared responses to a sine and a cosine grating
	// tell the class.
	set := synthetic(t, SyntheticOptions{Classes: 4, Shape: [3]int{1, 12, 12}, Train: 80, Test: 4, Noise: 0.1})
	right := 0
	raw := make([]float32, 144)
	p := set.Part("train")
	for i := range p.Len() {
		if err := p.columns[0].read(i, raw); err != nil {
			t.Fatal(err)
		}
		best, at := -1.0, 0
		for k := range 4 {
			var s, c float64
			angle, freq := math.Pi*float64(k)/4, 2*math.Pi/(4+float64(k%2))
			for j, v := range raw {
				u := freq * (float64(j%12)*math.Cos(angle) + float64(j/12)*math.Sin(angle))
				s += (float64(v) - 127.5) * math.Sin(u)
				c += (float64(v) - 127.5) * math.Cos(u)
			}
			if s*s+c*c > best {
				best, at = s*s+c*c, k
			}
		}
		if int64(at) == p.Labels[i] {
			right++
		}
	}
	if right < 78 {
		t.Errorf("want nearly all of 80 told apart, got %d", right)
	}
}

func TestHeadAndJoin(t *testing.T) {
	v := synthetic(t, SyntheticOptions{}).Part("train").All()
	parts := must[[]View](t)(v.Split(1, Share{"a", 0.5}, Share{"b", 0.5}))
	head := parts[0].Head(3)
	if !slices.Equal(head.Index, parts[0].Index[:3]) || parts[0].Head(1000).Len() != parts[0].Len() {
		t.Errorf("head: got %v", head.Index)
	}
	head.Index[0] = -1
	if parts[0].Index[0] == -1 {
		t.Error("want the head to be a copy")
	}
	both := parts[0].Join("both", parts[1])
	slices.Sort(both.Index)
	if both.Name != "both" || !slices.Equal(both.Index, v.Index) || both.Part() != v.Part() || both.Set() != v.Set() {
		t.Errorf("join: got %v", both.Index)
	}
}
