package report_test

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/entangle-nas/entangle/report"
)

// A log is written while a run goes on, and made a page afterwards.
func Example() {
	dir, err := os.MkdirTemp("", "report")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "log.jsonl")
	l, err := report.CreateLog(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	for step := range 3 {
		if err := l.Write(report.Record{Kind: "step", Step: step, Values: report.Values{"loss": report.Number(1 / float64(step+1))}}); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := l.Close(); err != nil {
		fmt.Println(err)
		return
	}
	file, err := os.ReadFile(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	records, err := report.ReadLog(bytes.NewReader(file))
	if err != nil {
		fmt.Println(err)
		return
	}
	var page strings.Builder
	if err := report.HTML(&page, records, report.Summary{Title: "A run"}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(records), "records,", strings.Count(page.String(), "<svg"), "plot")
	// Output: 3 records, 1 plot
}

func ExampleTable() {
	t := report.Table{Columns: []report.Column{{Name: "model"}, {Name: "MACs", Right: true}, {Name: "accuracy", Right: true}}}
	t.Add("before", report.Short(40.8e6), "91.2 %")
	t.Add("after", report.Short(20.1e6), "90.9 %")
	if err := t.Text(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// model     MACs  accuracy
	// ------  ------  --------
	// before  40.8 M    91.2 %
	// after   20.1 M    90.9 %
}
