package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entangle-nas/entangle/report"
	"github.com/entangle-nas/entangle/search/train"
)

// TestLogOfResumedRun: the first event of a process drops what an earlier one wrote
// at or beyond its step, and everything written after that; later events drop nothing.
func TestLogOfResumedRun(t *testing.T) {
	dir := t.TempDir()
	steps := func() string {
		f, err := os.Open(filepath.Join(dir, "log.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		list, err := report.ReadLog(f)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, r := range list {
			out = append(out, r.Text["stage"][:1]+r.Kind[:1]+strings.Repeat("|", r.Step/10))
		}
		return strings.Join(out, " ")
	}
	process := func(events ...train.Event) {
		t.Helper()
		e := &env{stderr: io.Discard, verbosity: -1}
		log := e.newRunLog()
		if err := log.open(dir); err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			log.observe(ev)
		}
		if err := log.close(); err != nil {
			t.Fatal(err)
		}
	}
	at := func(stage, kind string, step int) train.Event {
		return train.Event{Stage: stage, Kind: kind, Step: step, Total: 40}
	}
	process(at("search", "step", 10), at("search", "eval", 20), at("search", "step", 20), at("search", "step", 30), at("finetune", "step", 10))
	if got, want := steps(), "ss| se|| ss|| ss||| fs|"; got != want {
		t.Fatalf("want %q, got %q", want, got)
	}
	process() // a finished run started again
	if got, want := steps(), "ss| se|| ss|| ss||| fs|"; got != want {
		t.Errorf("no event: want %q, got %q", want, got)
	}
	process(at("search", "eval", 20), at("search", "step", 20), at("finetune", "step", 10))
	if got, want := steps(), "ss| se|| ss|| fs|"; got != want {
		t.Errorf("resumed before step 20: want %q, got %q", want, got)
	}
	process(at("finetune", "step", 20))
	if got, want := steps(), "ss| se|| ss|| fs| fs||"; got != want {
		t.Errorf("resumed in the second stage: want %q, got %q", want, got)
	}
	process(at("search", "step", 10))
	if got, want := steps(), "ss|"; got != want {
		t.Errorf("begun anew: want %q, got %q", want, got)
	}
}

// TestLogNamesFigures: validation is told by the figure that it is, and one without labels by its
// loss alone.
func TestLogNamesFigures(t *testing.T) {
	dir, text := t.TempDir(), new(strings.Builder)
	log := (&env{stderr: text}).newRunLog()
	if err := log.open(dir); err != nil {
		t.Fatal(err)
	}
	for _, ev := range []train.Event{
		{Measure: "mean IoU", Accuracy: 0.5, Loss: 0.25}, {Measure: "accuracy", Accuracy: 0.75, Loss: 0.25}, {Loss: 0.125},
	} {
		ev.Stage, ev.Kind, ev.Total = "train", "eval", 10
		log.observe(ev)
	}
	if err := log.close(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"validation mean IoU 0.5000, loss 0.2500\n", "validation accuracy 0.7500, loss 0.2500\n", "validation loss 0.1250\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("want %q in %q", want, text)
		}
	}
	f, err := os.Open(filepath.Join(dir, "log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := report.ReadLog(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, both := list[0].Values["accuracy"]; both || list[0].Values["mean_IoU"] != 0.5 || list[1].Values["accuracy"] != 0.75 {
		t.Errorf("want values under the figure's name, got %v", list)
	}
}

// TestProgressIsNotRecorded: work without a loss is shown once it takes a while, and leaves the log
// as it is, also when a stopped run goes on.
func TestProgressIsNotRecorded(t *testing.T) {
	dir, text := t.TempDir(), new(strings.Builder)
	process := func(list ...train.Event) {
		log := (&env{stderr: text}).newRunLog()
		if err := log.open(dir); err != nil {
			t.Fatal(err)
		}
		for _, ev := range list {
			log.observe(ev)
		}
		if err := log.close(); err != nil {
			t.Fatal(err)
		}
	}
	ranking := func(seconds float64) train.Event {
		return train.Event{Stage: "ranking", Kind: "progress", Step: 1, Total: 2, Seconds: seconds}
	}
	step := func(n int) train.Event { return train.Event{Stage: "search", Kind: "step", Step: n, Total: 40} }
	process(ranking(1), step(20))
	if strings.Contains(text.String(), "ranking") {
		t.Errorf("want short work not shown, got %q", text)
	}
	process(ranking(60), step(40))
	if !strings.Contains(text.String(), "ranking 1/2") {
		t.Errorf("want long work shown, got %q", text)
	}
	f, err := os.Open(filepath.Join(dir, "log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := report.ReadLog(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Step != 20 || list[1].Step != 40 {
		t.Errorf("want both steps and nothing else, got %+v", list)
	}
}
