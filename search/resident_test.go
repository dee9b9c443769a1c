package search

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/entangle-nas/entangle/data"
	"github.com/entangle-nas/entangle/engine"
	"github.com/entangle-nas/entangle/engine/cpu"
	"github.com/entangle-nas/entangle/engine/ref"
	"github.com/entangle-nas/entangle/internal/nettest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/ops"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
)

// TestResidentBatches: batches that are made on the device are the uploaded ones, bit
// for bit, in parts, whatever moves pixels and in whichever layout.
func TestResidentBatches(t *testing.T) {
	const batch, parts = 4, 2
	for _, layout := range []data.Layout{data.NCHW, data.NHWC} {
		set, err := data.Synthetic(data.SyntheticOptions{Classes: 3, Shape: [3]int{2, 5, 6}, Train: 24, Test: 3, Noise: 0.2, Seed: 1,
			Data: data.Options{Layout: layout, Mean: []float64{.4, .6}, Std: []float64{.3, .2}}})
		if err != nil {
			t.Fatal(err)
		}
		x := ir.Value{Name: "x", Type: ir.TensorType(ir.Float32, set.BatchType(0, batch).Shape...)}
		n := &net.Network{Batch: batch, Inputs: []string{"x"}, Classes: 3, Outputs: []net.Meaning{{Output: "y", Weight: 1, Labels: true}}, Model: &ir.Model{Graph: &ir.Graph{Inputs: []ir.Value{x}, Outputs: []ir.Value{x}}}, Facts: &ops.Facts{Values: map[string]ops.Fact{"x": {Type: x.Type}}}}
		view := set.Part("train").All()
		for _, augment := range []string{"", "flip", "crop:2", "flip,crop:3", "crop:1,flip,crop:2,flip:0.3"} {
			for _, be := range []engine.Backend{ref.New(), cpu.New(cpu.Options{Threads: 1})} {
				t.Run(fmt.Sprintf("%s/%s/%s", layout, augment, be.Name()), func(t *testing.T) {
					steps, err := data.ParseAugments(augment)
					if err != nil {
						t.Fatal(err)
					}
					feeds := [2]*net.Feed{}
					loaders := [2]*data.Loader{}
					for i := range feeds {
						if feeds[i], err = net.NewFeed(be, n, nil, net.Objective{Labels: 1}, set, true); err != nil {
							t.Fatal(err)
						}
						if err := feeds[i].Hold(view, steps, i<<20); err != nil {
							t.Fatal(err)
						}
						if loaders[i], err = view.Loader(data.LoaderOptions{Batch: batch * parts, Shuffle: true, Augment: steps, Seed: 4, Name: "x", Moves: feeds[i].Holds(view.Part())}); err != nil {
							t.Fatal(err)
						}
						defer loaders[i].Close()
					}
					if feeds[0].Holds(view.Part()) || !feeds[1].Holds(view.Part()) {
						t.Fatal("want the samples on the device with a limit of a megabyte alone")
					}
					for range 5 {
						var got [2][]map[string][]float32
						for i, f := range feeds {
							b, err := loaders[i].Next()
							if err != nil {
								t.Fatal(err)
							}
							x, err := f.Prepare(b)
							if err != nil {
								t.Fatal(err)
							}
							for part := range parts {
								env, err := f.Upload(x, part)
								if err != nil {
									t.Fatal(err)
								}
								values := map[string][]float32{}
								for name, buf := range env {
									v, err := buf.Read()
									if err != nil {
										t.Fatal(err)
									}
									values[name] = v.F32
								}
								got[i] = append(got[i], values)
							}
						}
						if len(got[0][0]) != 2 || !reflect.DeepEqual(got[0], got[1]) {
							t.Fatalf("uploaded %v, made %v", got[0], got[1])
						}
					}
				})
			}
		}
	}
}

// TestResidentLimits: what does not fit, or does more than move pixels, is uploaded.
func TestResidentLimits(t *testing.T) {
	plain, _ := nettest.Built(t, "fashion-tiny", 4)
	set := imagesFor(t, plain, 20, 4)
	view := set.Part("train").All()
	size := view.Set().BatchType(0, 20).Bytes()
	for _, c := range []struct {
		augment string
		limit   int
		held    bool
	}{{"flip", size, true}, {"flip", size - 1, false}, {"", 0, false}, {"flip,mixup", size, false}, {"cutout", size, false}} {
		steps, err := data.ParseAugments(c.augment)
		if err != nil {
			t.Fatal(err)
		}
		f, err := net.NewFeed(ref.New(), plain, nil, net.Objective{}, set, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Hold(view, steps, c.limit); err != nil || f.Holds(view.Part()) != c.held || f.Holds(set.Part("test")) {
			t.Errorf("%q, limit %d of %d: want held %t, got %t (%v)", c.augment, c.limit, size, c.held, f.Holds(view.Part()), err)
		}
	}
	steps, err := data.ParseAugments("cutout")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := view.Loader(data.LoaderOptions{Batch: 4, Moves: true, Augment: steps}); err == nil {
		t.Error("moves of a cutout were accepted")
	}
}

// TestResidentSearch: a search with its samples on the device gives the same bits, with
// a teacher and in micro-batches.
func TestResidentSearch(t *testing.T) {
	plain, super := nettest.Built(t, "fashion-tiny", 4)
	views := halves(t, imagesFor(t, plain, 64, 4))
	run := func(limit int) *Decision {
		super.DataLimit = limit
		c := DefaultConfig()
		c.Weights.Epochs, c.Weights.Accumulate, c.Weights.Augment = 1, 2, "flip,crop:2"
		c.Weights.Objective = net.Objective{Labels: 0.5, Distill: 0.5, Temperature: 2}
		d, err := Run(context.Background(), cpu.New(cpu.Options{Threads: 1}), super, plain, views.Weights, views.Alpha, data.View{}, c, nil, 1, train.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if !reflect.DeepEqual(run(0), run(1<<20)) {
		t.Error("samples on the device changed the result")
	}
}
