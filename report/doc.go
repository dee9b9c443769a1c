// Package report writes what a run did: a log of JSON lines, tables, progress on
// a terminal, and one HTML page with plots that needs nothing beside it.
//
//	log, err := report.CreateLog("run/log.jsonl")
//	err = log.Write(report.Record{Kind: "step", Step: 12, Values: report.Values{"loss": 0.7}})
//
//	bar := report.NewProgress(os.Stderr, report.ProgressOptions{Total: steps, Interactive: report.Interactive(tty, os.Getenv)})
//	bar.Update(12, "loss 0.70")
//
//	t := report.Table{Columns: []report.Column{{Name: "model"}, {Name: "MACs", Right: true}}}
//	t.Add("before", "40.6 M")
//	err = t.Text(os.Stdout)
//
//	records, err := report.ReadLog(file)
//	err = report.HTML(w, records, summary)
package report
