package entangle_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/entangle-nas/entangle"
	"github.com/entangle-nas/entangle/internal/runtest"
	"github.com/entangle-nas/entangle/ir"
	"github.com/entangle-nas/entangle/measure"
	"github.com/entangle-nas/entangle/search/net"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// leaves calls visit with every setting of a struct, by key.
func leaves(v reflect.Value, prefix string, visit func(key string, field reflect.Value)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		key := prefix + name
		switch {
		case name == "-":
		case f.Anonymous:
			leaves(v.Field(i), prefix, visit)
		case f.Type.Kind() == reflect.Struct:
			leaves(v.Field(i), key+".", visit)
		default:
			visit(key, v.Field(i))
		}
	}
}

// spoilt returns values that no setting of the type takes.
func spoilt(field reflect.Value) []any {
	switch field.Interface().(type) {
	case float64:
		return []any{math.NaN(), math.Inf(1), -1.0}
	case int:
		return []any{-1}
	case int64:
		return []any{int64(-1)}
	case []float64:
		return []any{[]float64{math.NaN()}}
	case []string:
		return []any{[]string{"\x00frob"}}
	case entangle.Targets:
		return []any{entangle.Targets(nil), entangle.Targets{{Metric: "frob", Share: 0.5}}, entangle.Targets{{Metric: "macs", Share: 2}}, entangle.Targets{{Metric: "macs", Limit: math.NaN()}},
			entangle.Targets{{Metric: "macs", Share: 0.5}, {Metric: "macs", Share: 0.5}}, entangle.Targets{{Metric: "macs", Limit: 3, Unit: "ms"}}, entangle.Targets{{Metric: "macs", Limit: 3, Unit: "B"}}}
	default:
		if field.Type() == reflect.TypeFor[net.Settings]() {
			return []any{net.Settings{{Output: "nothing", Kind: measure.Values, Weight: 1}}}
		}
		if field.Type() == reflect.TypeFor[train.Epochs]() {
			return []any{train.Epochs(math.NaN()), train.Epochs(math.Inf(1)), train.Epochs(-2)}
		}
		switch field.Kind() {
		case reflect.String:
			return []any{reflect.ValueOf("\x00frob").Convert(field.Type()).Interface()}
		case reflect.Array: // a size
			return []any{reflect.ValueOf([2]int{-1, 3}).Convert(field.Type()).Interface()}
		}
		return nil
	}
}

// TestEveryFaultIsFound spoils every setting in turn: Check names its key, at once, and
// before any work. Switches and the seed have no wrong values; what a run was made with is
// told, not checked.
func TestEveryFaultIsFound(t *testing.T) {
	b := runtest.New(t, "fashion-tiny")
	m := runtest.Wrap(b.Model)
	if err := b.Job.Check(m, b.Set); err != nil {
		t.Fatal(err)
	}
	free := map[string]bool{"seed": true, "latency.cache": true, "record.version": true, "record.processor": true}
	fields := 0
	j := b.Job
	leaves(reflect.ValueOf(&j).Elem(), "", func(key string, field reflect.Value) {
		values := spoilt(field)
		if field.Kind() == reflect.Bool || field.Kind() == reflect.Pointer || free[key] {
			return
		}
		if values == nil {
			t.Errorf("%s: the test has no wrong value for a %s", key, field.Type())
		}
		kept := reflect.New(field.Type()).Elem()
		kept.Set(field)
		for _, v := range values {
			field.Set(reflect.ValueOf(v))
			start := time.Now()
			err := j.Check(m, b.Set)
			if took := time.Since(start); err == nil || !strings.Contains("\n"+err.Error(), "\n"+key+":") || took > time.Second {
				t.Errorf("%s = %v: want a fault of that key within a second, got %v after %v", key, v, err, took)
			}
			if _, err := entangle.Prepare(m, b.Set, j); err == nil {
				t.Errorf("%s = %v: Prepare took it", key, v)
			}
		}
		field.Set(kept)
		fields++
	})
	if fields < 80 {
		t.Errorf("%d settings were spoilt: want all of a job's", fields)
	}
}

// TestFaultsTogether: a job with many faults tells all of them.
func TestFaultsTogether(t *testing.T) {
	j := entangle.DefaultJob()
	j.Tune.Rate, j.Tune.Optimiser, j.Search.Relaxation, j.Inherit, j.Data.Batch = -1, "sdg", "dart", "orignal", -1
	err := j.Check(nil, nil)
	for _, want := range []string{"tune.lr: want a number >= 0, got -1", "tune.optimizer: want one of sgd, adam, adamw, got \"sdg\"; did you mean sgd?", "search.relaxation: ", "inherit: ", "data.batch: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
}

// TestJobFile: a job that is written and read over another is the same, bit by bit.
func TestJobFile(t *testing.T) {
	j := entangle.DefaultJob()
	over := true
	j.Target = entangle.Targets{{Metric: "macs", Limit: 2e7}, {Metric: "params", Share: 1.0 / 3}}
	j.Search.Overlap, j.Data.Mean, j.Space.Kinds, j.Tune.Rate, j.StepMemory, j.Seed = &over, []float64{0.1, 1.0 / 7}, []string{"width"}, math.Nextafter(0.1, 1), "2GiB", 1<<63+1
	j.Data.Resize, j.Model = [2]int{32, 48}, "a 'b': #c"
	text, err := j.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "job.yaml")
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
	var got entangle.Job
	if err := got.Read(path); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, j) {
		t.Errorf("want %+v,\ngot %+v", j, got)
	}
}

// TestTargets: shares, counts and units as they are written on a command line.
func TestTargets(t *testing.T) {
	for text, want := range map[string]entangle.Targets{
		"macs=0.5":            {{Metric: "macs", Share: 0.5}},
		"0.25":                {{Metric: "macs", Share: 0.25}},
		"50%":                 {{Metric: "macs", Share: 0.5}},
		"macs=1":              {{Metric: "macs", Share: 1}},
		"macs=20M":            {{Metric: "macs", Limit: 2e7}},
		"bytes=1MiB":          {{Metric: "bytes", Limit: 1 << 20, Unit: "B"}},
		"params = 60 %":       {{Metric: "params", Share: 0.6}},
		"macs=0.5,params=100": {{Metric: "macs", Share: 0.5}, {Metric: "params", Limit: 100}},
		"latency=0.5ms":       {{Metric: "latency", Limit: 0.5, Unit: "ms"}},
		"macs=1e6":            {{Metric: "macs", Limit: 1e6}},
		"macs=0.75, 0.5,30M":  {{Metric: "macs", Share: 0.75}, {Metric: "macs", Share: 0.5}, {Metric: "macs", Limit: 3e7}},
		"0.75,0.5":            {{Metric: "macs", Share: 0.75}, {Metric: "macs", Share: 0.5}},
		// What stands alone is of the metric before it, and the limit of another is for all sizes.
		"latency=2ms,1ms,params=0.9": {{Metric: "latency", Limit: 2, Unit: "ms"}, {Metric: "latency", Limit: 1, Unit: "ms"}, {Metric: "params", Share: 0.9}},
		"params=0.9,macs=0.5,0.25":   {{Metric: "params", Share: 0.9}, {Metric: "macs", Share: 0.5}, {Metric: "macs", Share: 0.25}},
	} {
		var got, again entangle.Targets
		if err := got.UnmarshalText([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: want %v, got %v (%v)", text, want, got, err)
			continue
		}
		back, err := got.MarshalText()
		if err == nil {
			err = again.UnmarshalText(back)
		}
		if err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("%q: written as %q, read as %v (%v)", text, back, again, err)
		}
	}
	for _, text := range []string{"macs=", "macs=-1", "macs=0", "=0.5", "macs=x", "macs=120%", "macs=1e999", "macs=0.5,", "macs=NaN", "macs=0x10", "macs=0.5,macs=0.25", "macs=0.5,params=0.5,macs=0.25", "macs=0.5,,0.25"} {
		var got entangle.Targets
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

// TestSeveralLimits: every method meets all limits, also one of a metric from above whose
// prices are a table.
func TestSeveralLimits(t *testing.T) {
	b := runtest.New(t, "resnet20-tiny")
	m := runtest.Wrap(b.Model)
	pieces := func(s *space.Supernet) ([][]*ir.Node, error) {
		var out [][]*ir.Node
		for _, n := range s.An.Model.Graph.Nodes {
			if n.OpType == "Conv" {
				out = append(out, []*ir.Node{n})
			}
		}
		return out, nil
	}
	b.Job.Target = entangle.Targets{{Metric: "macs", Share: 0.7}, {Metric: "params", Share: 0.5}, {Metric: "toy", Share: 0.8}}
	if err := b.Job.Check(m, b.Set); err == nil || !strings.Contains(err.Error(), `target: metric: want one of macs, params, bytes, peak, latency, got "toy"`) {
		t.Errorf("a metric that is not there: %v", err)
	}
	_, err := entangle.Prepare(m, b.Set, b.Job, space.Table("toy", "ms", "made up", pieces, nil))
	var lack *space.MissingError
	if !errors.As(err, &lack) {
		t.Fatalf("a table without prices: %v", err)
	}
	prices := map[string]float64{}
	for i, x := range lack.Missing {
		prices[x.Signature] = 1 + float64(i%7)/10
	}
	table := space.Table("toy", "ms", "made up", pieces, prices)
	for _, method := range []string{"search", "uniform", "random", "evolution"} {
		b.Job.Method, b.Job.Evolution.Trials = method, 10
		p, err := entangle.Prepare(m, b.Set, b.Job, table)
		if err != nil {
			t.Fatal(err)
		}
		r, _, err := p.Search(t.Context(), b.Be, entangle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		tight := 0.0
		for _, l := range p.Budget {
			if r.Cost[l.Metric] > l.Limit {
				t.Errorf("%s: %s %g over the limit %g", method, l.Metric, r.Cost[l.Metric], l.Limit)
			}
			tight = max(tight, r.Cost[l.Metric]/l.Limit)
		}
		if tight < 0.9 && method != "uniform" {
			t.Errorf("%s: %.2f of the tightest limit is used: want at least 0.9", method, tight)
		}
	}
}
