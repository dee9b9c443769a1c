package data

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// counted opens a stream of n tokens, each its own position.
func counted(t *testing.T, n int, o Options) *Part {
	t.Helper()
	var raw []byte
	for i := range n {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(i))
	}
	path := filepath.Join(t.TempDir(), "stream.bin")
	if err := os.WriteFile(path, raw, 0o666); err != nil {
		t.Fatal(err)
	}
	set, err := Open("lm:"+path, o)
	if err != nil {
		t.Fatal(err)
	}
	return set.Part("train")
}

// epochs returns the batches of n epochs.
func epochs(t *testing.T, l *Loader, n int) [][]*Batch {
	t.Helper()
	out := make([][]*Batch, n)
	for e := range out {
		if err := l.Each(func(b *Batch) error { out[e] = append(out[e], b); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestShift: within an epoch all windows move by one offset, but for the last of a
// run; labels move with them, splits stay apart, and other epochs have other offsets.
func TestShift(t *testing.T) {
	for name, o := range map[string]Options{"apart": {Seq: 16}, "overlapping": {Seq: 16, Stride: 6}, "limited": {Seq: 16, Limit: 40}} {
		t.Run(name, func(t *testing.T) {
			stride := o.Stride
			if stride == 0 {
				stride = o.Seq
			}
			parts, err := counted(t, 1000, o).All().Split(1, Share{"a", .5}, Share{"b", .3})
			if err != nil {
				t.Fatal(err)
			}
			first := parts[1].Index[0] * stride
			v := parts[0]
			l, err := v.Loader(LoaderOptions{Batch: 4, Shuffle: true, Shift: true, Seed: 7, Name: "t"})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			seen := map[int64]bool{}
			for _, batches := range epochs(t, l, 6) {
				offset := int64(-1)
				for _, b := range batches {
					for i, at := range b.Index[:b.Valid] {
						ids, labels := b.Inputs[0].I64[i*16:(i+1)*16], b.Labels.I64[i*16:(i+1)*16]
						for k, id := range ids {
							if id != ids[0]+int64(k) || labels[k] != id+1 {
								t.Fatalf("sample %d: want neighbours and their successors, got %v and %v", at, ids, labels)
							}
						}
						if int(ids[15]) >= first {
							t.Errorf("sample %d reaches token %d of the next split, which begins at %d", at, ids[15], first)
						}
						moved := ids[0] - int64(at*stride)
						if at == v.Index[len(v.Index)-1] {
							if moved != 0 {
								t.Errorf("the last sample moved by %d", moved)
							}
							continue
						}
						if offset < 0 {
							offset = moved
						}
						if moved != offset || moved < 0 || moved >= int64(stride) {
							t.Errorf("sample %d: want the epoch's offset %d, below %d, got %d", at, offset, stride, moved)
						}
					}
				}
				seen[offset] = true
			}
			if len(seen) < 3 {
				t.Errorf("6 epochs: want several offsets, got %v", seen)
			}
		})
	}
}

// TestShiftResumes: a restored loader goes on to the bit, a loader that does not
// shift refuses the position, and neighbours that two views join are one run.
func TestShiftResumes(t *testing.T) {
	parts, err := counted(t, 600, Options{Seq: 8}).All().Split(1, Share{"a", .5}, Share{"b", .5})
	if err != nil {
		t.Fatal(err)
	}
	both := parts[0].Join("both", parts[1])
	if got := both.ends(); len(got) != 1 || !got[slices.Max(both.Index)] {
		t.Errorf("ends of a joined run: want its last sample, got %v", got)
	}
	o := LoaderOptions{Batch: 8, Shuffle: true, Shift: true, DropLast: true, Seed: 3, Name: "t"}
	l, err := both.Loader(o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range l.Batches() + 2 {
		if _, err := l.Next(); err != nil {
			t.Fatal(err)
		}
	}
	state := l.State()
	want, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	again, err := both.Loader(o)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.Restore(state); err != nil {
		t.Fatal(err)
	}
	got, err := again.Next()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("after resuming: want %v, got %v", want.Inputs[0].I64, got.Inputs[0].I64)
	}
	o.Shift = false
	plain, err := both.Loader(o)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if plain.Restore(state) == nil {
		t.Error("a loader of fixed windows took the position of one that shifts")
	}
}
