package main

import (
	"errors"
	"testing"
)

func TestParseJob(t *testing.T) {
	j, err := parseJob("job.yaml", []byte("model: m.onnx # the base\nout: o.onnx\ndata:\n  mean: [0.5, 0.25,0.1]\n  data: 'idx:/a b'\nsearch: {divisor: 4, sandwich: true}\ntrain:\n"))
	if err != nil {
		t.Fatal(err)
	}
	if j.model != "m.onnx" || j.out != "o.onnx" {
		t.Errorf("want m.onnx and o.onnx, got %q and %q", j.model, j.out)
	}
	want := []jobValue{
		{"mean", "0.5,0.25,0.1", "job.yaml:4:3"},
		{"data", "idx:/a b", "job.yaml:5:3"},
		{"divisor", "4", "job.yaml:6:10"},
		{"sandwich", "true", "job.yaml:6:22"},
	}
	if len(j.set) != len(want) {
		t.Fatalf("want %v, got %v", want, j.set)
	}
	for i, w := range want {
		if j.set[i] != w {
			t.Errorf("setting %d: want %v, got %v", i, w, j.set[i])
		}
	}
}

func TestParseJobEmpty(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "data:\n"} {
		if j, err := parseJob("job.yaml", []byte(text)); err != nil || len(j.set) != 0 {
			t.Errorf("%q: want an empty job, got %v, %v", text, j, err)
		}
	}
}

// FuzzParseJob holds that any text gives settings or a usage error.
func FuzzParseJob(f *testing.F) {
	for _, s := range []string{"model: m.onnx\ndata:\n  mean: [0.5]\n", "data: {data: x, batch: 3}", "a: &x 1\nb: *x\n", "data:\n  <<: {batch: 1}\n", "- 1\n- 2\n", "? [a]\n: b\n", "data:\n  mean: |\n    1\n", "model: !!binary aGk=\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := parseJob("job.yaml", b)
		var usage *usageError
		if err != nil && !errors.As(err, &usage) {
			t.Fatalf("want a usage error, got %v", err)
		}
	})
}
