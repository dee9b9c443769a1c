package net

import (
	"math"
	"slices"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/prim"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/rng"
	"github.com/entangle-nas/entangle/measure"
)

// TestPositionLoss compares loss, gradient and hits of a classifier of positions
// with their definitions in float64.
func TestPositionLoss(t *testing.T) {
	const batch, positions, classes = 2, 3, 5
	r := rng.New(1, "test/positions")
	draw := func() *prim.Tensor {
		x := prim.NewTensor(prim.Type{DType: prim.F32, Shape: []int{batch, positions, classes}})
		for i := range x.F32 {
			x.F32[i] = float32(3 * r.NormFloat64())
		}
		return x
	}
	z, teach := draw(), draw()
	b := &data.Batch{Labels: prim.I64Tensor([]int64{1, -100, 4, 0, 2, -1}, batch, positions), Index: []int{7, 8}, Valid: batch}
	label, share, count, err := positionTargets(b, positions, classes)
	if err != nil || count != 4 {
		t.Fatalf("targets: want 4 that count, got %d %v", count, err)
	}
	for _, c := range []struct {
		name     string
		o        Objective
		labelled bool
	}{
		{"labels", Objective{Labels: 1}, true},
		{"smoothed", Objective{Labels: 2, Smoothing: 0.2}, true},
		{"teacher", Objective{Distill: 1, Temperature: 3}, true},
		{"teacher without labels", Objective{Distill: 1, Temperature: 3}, false},
		{"both", Objective{Labels: 0.5, Distill: 0.5, Temperature: 2}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, g := outputs(batch, map[string][]int{"z": {batch, positions, classes}}, "z")
			n.labels = Labels{Any: true, Shape: []int{positions}, Tokens: true}
			if err := n.Means(nil); err != nil || n.Classes != classes || n.Positions != positions {
				t.Fatalf("want %d classes at %d positions, got %d at %d, %v", classes, positions, n.Classes, n.Positions, err)
			}
			in := map[string]*prim.Tensor{"z": z}
			if c.labelled {
				in[TargetName], in[shareName] = label, share
			}
			if c.o.Distill > 0 {
				in[teacherName("z")] = teach
			}
			want, hits, grad := 0.0, 0.0, make([]float64, len(z.F32))
			for row, l := range b.Labels.I64 {
				weight := 1.0 / (batch * positions)
				if c.labelled {
					if l < 0 {
						continue
					}
					weight = 0.25
				}
				x := z.F32[row*classes : (row+1)*classes]
				for k, p := range softmaxRow(x, 1) {
					target := c.o.Smoothing / classes
					if int64(k) == l {
						target += 1 - c.o.Smoothing
					}
					want -= c.o.Labels * weight * target * math.Log(p)
					grad[row*classes+k] += c.o.Labels * weight * (p - target)
				}
				if c.labelled && slices.Max(x) == x[l] {
					hits++
				}
				if c.o.Distill > 0 {
					T := c.o.Temperature
					q := softmaxRow(teach.F32[row*classes:(row+1)*classes], T)
					for k, p := range softmaxRow(x, T) {
						want += c.o.Distill * weight * T * T * q[k] * math.Log(q[k]/p)
						grad[row*classes+k] += c.o.Distill * weight * T * (p - q[k])
					}
				}
			}
			got, correct, d := evaluated(t, n, g, c.o, c.labelled, in, "z")
			if math.Abs(got-want) > 1e-5*max(1, want) {
				t.Errorf("loss: want %g, got %g", want, got)
			}
			if c.labelled && correct != hits {
				t.Errorf("hits: want %g, got %g", hits, correct)
			}
			for i, v := range d["z"] {
				if math.Abs(float64(v)-grad[i]) > 1e-5 {
					t.Fatalf("gradient at %d: want %g, got %g", i, grad[i], v)
				}
			}
		})
	}
}

// TestRank: what comes before a label's logit on the device is what measure counts.
func TestRank(t *testing.T) {
	z := prim.F32Tensor([]float32{3, 1, 4, 1, 5, 9 /**/, 2, 2, 2, 2, 2, 2 /**/, -1, 0, -1, 7, 0, -8}, 3, 6)
	n := &Network{Classes: 6}
	for label := range 6 {
		b := prim.NewBuilder()
		b.Output("rank", n.rank(b, b.Input("z", z.Type), b.Input("label", prim.Type{DType: prim.F32, Shape: []int{3, 1}})))
		p, err := b.Program()
		if err != nil {
			t.Fatal(err)
		}
		out, err := engine.RunHost(ref.New(), p, map[string]*prim.Tensor{"z": z, "label": prim.F32Tensor(slices.Repeat([]float32{float32(label)}, 3), 3, 1)})
		if err != nil {
			t.Fatal(err)
		}
		for row, got := range out["rank"].F32 {
			if _, want := measure.Row(z.F32[6*row:6*row+6], label, measure.Logits); int(got) != want {
				t.Errorf("row %d, label %d: want %d before it, got %g", row, label, want, got)
			}
		}
	}
}

func TestPositionTargets(t *testing.T) {
	b := &data.Batch{Labels: prim.I64Tensor([]int64{1, 2, 1, 2}, 2, 2), Index: []int{4, 4}, Valid: 1}
	label, share, count, err := positionTargets(b, 2, 3)
	if err != nil || count != 2 || !slices.Equal(label.F32, []float32{1, 2, -1, -1}) || !slices.Equal(share.F32, []float32{.5, .5, 0, 0}) {
		t.Errorf("a padded sample: want it left out, got %v %v %d %v", label.F32, share.F32, count, err)
	}
	b.Labels.I64[1] = 3
	if _, _, _, err := positionTargets(b, 2, 3); err == nil {
		t.Error("label beyond the classes: want an error, got none")
	}
	b.Labels = prim.I64Tensor([]int64{-1, -1, -1, -1}, 2, 2)
	if _, share, count, err := positionTargets(b, 2, 3); err != nil || count != 0 || slices.Max(share.F32) != 0 {
		t.Errorf("no label that counts: want shares of 0, got %v %v", share, err)
	}
	if _, _, _, err := positionTargets(b, 3, 3); err == nil {
		t.Error("labels of another length: want an error, got none")
	}
}
