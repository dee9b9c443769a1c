package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/entangle-nas/entangle/report"
	"github.com/entangle-nas/entangle/search"
)

// runLog shows a run's events as progress on stderr and keeps them in log.jsonl.
type runLog struct {
	e     *env
	log   *report.Log
	space map[string][]int
	stage string
	bar   *report.Progress
}

// openRunLog appends to the folder's log.
func (e *env) openRunLog(dir string) (*runLog, error) {
	r := &runLog{e: e, space: map[string][]int{}}
	if dir == "" {
		return r, nil
	}
	path := filepath.Join(dir, "log.jsonl")
	var err error
	if info, serr := os.Stat(path); serr == nil {
		r.log, err = report.ResumeLog(path, info.Size())
	} else {
		r.log, err = report.CreateLog(path)
	}
	return r, err
}

func (r *runLog) close() error {
	r.endStage()
	if r.log == nil {
		return nil
	}
	return r.log.Close()
}

func (r *runLog) endStage() {
	if r.bar != nil {
		r.bar.Finish()
		r.bar = nil
	}
}

// observe takes one event.
func (r *runLog) observe(ev search.Event) {
	if r.e.verbosity >= 0 {
		if ev.Stage != r.stage || r.bar == nil {
			r.endStage()
			r.stage = ev.Stage
			r.bar = report.NewProgress(r.e.stderr, report.ProgressOptions{Label: ev.Stage, Total: ev.Total, Done: ev.Step - 1, Interactive: r.e.interactive()})
		}
		info := fmt.Sprintf("loss %.4f", ev.Loss)
		if ev.Accuracy > 0 {
			info += fmt.Sprintf(" acc %.4f", ev.Accuracy)
		}
		if ev.Cost > 0 {
			info += fmt.Sprintf(" cost %.3f", ev.Cost)
		}
		if ev.Kind == "eval" {
			r.bar.Print(fmt.Sprintf("%s epoch %.1f: validation accuracy %.4f, loss %.4f", ev.Stage, ev.Epoch, ev.Accuracy, ev.Loss))
		} else {
			r.bar.Update(ev.Step, info)
		}
	}
	if r.log == nil {
		return
	}
	rec := report.Record{Kind: ev.Kind, Step: ev.Step, Epoch: int(ev.Epoch), Text: map[string]string{"stage": ev.Stage},
		Values: report.Values{"loss": report.Number(ev.Loss), "accuracy": report.Number(ev.Accuracy), "lr": report.Number(ev.Rate), "seconds": report.Number(ev.Seconds), "epochs": report.Number(ev.Epoch)}}
	if ev.Coef != nil {
		rec.Values["alpha_loss"], rec.Values["expected_cost"] = report.Number(ev.AlphaLoss), report.Number(ev.Cost)
		rec.Values["multiplier"], rec.Values["entropy"] = report.Number(ev.Multiplier), report.Number(ev.Entropy)
		for _, name := range sortedKeys(ev.Coef) {
			rec.Coefficients = append(rec.Coefficients, report.Coefficients{Dimension: name, Values: report.Numbers(ev.Coef[name])})
		}
	}
	if err := r.log.Write(rec); err != nil {
		fmt.Fprintf(r.e.stderr, "entangle: log: %v\n", err)
		r.log.Close()
		r.log = nil
	}
}
