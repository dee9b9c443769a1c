package report_test

import (
	"fmt"
	"os"

	"github.com/entangle-nas/entangle/report"
)

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
