package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/entangle-nas/entangle/report"
	"github.com/entangle-nas/entangle/search/train"
	"github.com/entangle-nas/entangle/space"
)

// runLog shows a run's events as progress on stderr and keeps them in log.jsonl.
type runLog struct {
	e       *env
	path    string // "" keeps no log
	log     *report.Log
	begun   bool                // an event has arrived
	choices map[string][]string // per dimension, as text
	stage   string
	bar     *report.Progress
}

// newRunLog shows events; open keeps them too.
func (e *env) newRunLog() *runLog { return &runLog{e: e, choices: map[string][]string{}} }

// open appends to the folder's log.
func (r *runLog) open(dir string) error {
	r.path = filepath.Join(dir, "log.jsonl")
	var err error
	if info, serr := os.Stat(r.path); serr == nil {
		r.log, err = report.ResumeLog(r.path, info.Size())
	} else {
		r.log, err = report.CreateLog(r.path)
	}
	return err
}

// name gives the coefficients of later events the choices that they belong to.
func (r *runLog) name(s *space.Space) {
	for _, d := range s.Dims {
		var text []string
		for _, c := range d.Choices {
			text = append(text, strconv.Itoa(c))
		}
		r.choices[d.Name] = text
	}
}

func (r *runLog) close() error {
	r.endStage()
	if r.log == nil {
		return nil
	}
	return r.log.Close()
}

// rewind drops what an earlier process wrote at or after an event, the first of
// this process: those records lie beyond the checkpoint and are about to come again.
func (r *runLog) rewind(ev train.Event) error {
	size, err := sizeBefore(r.path, ev.Stage, ev.Step)
	if err != nil || size < 0 {
		return err
	}
	if err := r.log.Close(); err != nil {
		return err
	}
	r.log, err = report.ResumeLog(r.path, size)
	return err
}

// sizeBefore returns the bytes of a log before the first record of the stage at or
// after the step, −1 when there is none. Lines that are no records are passed over.
func sizeBefore(path, stage string, step int) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	for size := int64(0); ; {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return -1, nil
		}
		if err != nil {
			return 0, err
		}
		var rec report.Record
		if json.Unmarshal(line, &rec) == nil && rec.Text["stage"] == stage && rec.Step >= step {
			return size, nil
		}
		size += int64(len(line))
	}
}

func (r *runLog) endStage() {
	if r.bar != nil {
		r.bar.Finish()
		r.bar = nil
	}
}

// logEvery is the distance of a stage's step events.
const logEvery = 20

// newBar starts the progress of a stage at its first event, with the clock put
// back to where the stage began in this process.
func (r *runLog) newBar(ev train.Event) *report.Progress {
	late := time.Duration(ev.Seconds * float64(time.Second))
	done := (ev.Step - 1) / logEvery * logEvery
	if ev.Kind == "progress" {
		done = 0
	}
	return report.NewProgress(r.e.stderr, report.ProgressOptions{Label: ev.Stage, Total: ev.Total, Done: done, Interactive: r.e.interactive(),
		Now: func() time.Time {
			now := time.Now().Add(-late)
			late = 0
			return now
		}})
}

// Work without a loss that is done sooner is not shown, on a terminal and elsewhere.
const soon, soonPlain = 1, 5 // seconds

func (r *runLog) shows(ev train.Event) bool {
	least := float64(soonPlain)
	if r.e.interactive() {
		least = soon
	}
	return r.e.verbosity >= 0 && (ev.Kind != "progress" || ev.Seconds >= least)
}

// observe takes one event.
func (r *runLog) observe(ev train.Event) {
	if r.shows(ev) {
		if ev.Stage != r.stage || r.bar == nil {
			r.endStage()
			r.stage = ev.Stage
			r.bar = r.newBar(ev)
		}
		info := fmt.Sprintf("loss %.4f", ev.Loss)
		if ev.Accuracy > 0 {
			info += fmt.Sprintf(" acc %.4f", ev.Accuracy)
		}
		for _, metric := range sortedKeys(ev.Cost) {
			info += fmt.Sprintf(" %s %.3f", metric, ev.Cost[metric])
		}
		switch {
		case ev.Kind == "progress":
			r.bar.Update(ev.Step, "")
		case ev.Kind == "eval":
			if ev.Measure != "" {
				info = fmt.Sprintf("%s %.4f, loss %.4f", ev.Measure, ev.Accuracy, ev.Loss)
			} else {
				info = fmt.Sprintf("loss %.4f", ev.Loss)
			}
			r.bar.Print(fmt.Sprintf("%s epoch %.1f: validation %s", ev.Stage, ev.Epoch, info))
		default:
			r.bar.Update(ev.Step, info)
		}
	}
	if r.log == nil || ev.Kind == "progress" {
		return
	}
	if !r.begun {
		r.begun = true
		if err := r.rewind(ev); err != nil {
			r.give(err)
			return
		}
	}
	rec := report.Record{Kind: ev.Kind, Step: ev.Step, Epoch: int(ev.Epoch), Text: map[string]string{"stage": ev.Stage},
		Values: report.Values{"loss": report.Number(ev.Loss), "accuracy": report.Number(ev.Accuracy), "lr": report.Number(ev.Rate), "seconds": report.Number(ev.Seconds), "epochs": report.Number(ev.Epoch)}}
	if ev.Measure != "" && ev.Measure != "accuracy" {
		delete(rec.Values, "accuracy")
		rec.Values[strings.ReplaceAll(ev.Measure, " ", "_")] = report.Number(ev.Accuracy)
	}
	if ev.Kind == "step" {
		rec.Values["data_wait"] = report.Number(ev.Wait)
	}
	if ev.Coef != nil {
		rec.Values["alpha_loss"], rec.Values["entropy"] = report.Number(ev.AlphaLoss), report.Number(ev.Entropy)
		for metric, v := range ev.Cost {
			rec.Values["expected_"+metric], rec.Values["multiplier_"+metric] = report.Number(v), report.Number(ev.Multiplier[metric])
		}
		for _, name := range sortedKeys(ev.Coef) {
			rec.Coefficients = append(rec.Coefficients, report.Coefficients{Dimension: name, Choices: r.choices[name], Values: report.Numbers(ev.Coef[name])})
		}
	}
	if err := r.log.Write(rec); err != nil {
		r.give(err)
	}
}

// give goes on without a log.
func (r *runLog) give(err error) {
	fmt.Fprintf(r.e.stderr, "entangle: log: %v\n", err)
	if r.log != nil {
		r.log.Close()
		r.log = nil
	}
}
