package keys_test

import (
	"fmt"

	"github.com/entangle-nas/entangle/internal/keys"
)

// One struct is read from a file, changed by an option, checked and written.
func Example() {
	type Tune struct {
		Epochs float64 `json:"epochs" doc:"passes over the samples" want:">0" unit:"epochs"`
		Rate   float64 `json:"lr" doc:"learning rate" want:">0"`
	}
	job := struct {
		Method string   `json:"method" doc:"what chooses" oneof:"method"`
		Keep   []string `json:"keep" doc:"nodes that stay"`
		Tune   Tune     `json:"tune" doc:"training of the subnet"`
	}{Method: "search", Tune: Tune{Epochs: 10, Rate: 0.05}}
	lists := keys.Lists{"method": func() []string { return []string{"search", "uniform"} }}

	for _, k := range keys.List(&job, lists) {
		fmt.Printf("%-12s %-13s %s\n", k.Path, k.Type, k.Doc)
	}
	fmt.Println(keys.Read(&job, "job.yaml", []byte("tune:\n  epoch: 3\n  lr: high\n")))
	fmt.Println(keys.Read(&job, "job.yaml", []byte("keep: [conv1]\ntune:\n  epochs: -3\n")))
	fmt.Println(keys.Set(&job, "lr", "0.1"))
	fmt.Println(keys.Set(&job, "method", "unifrom"))
	for _, fault := range keys.Check(&job, lists) {
		fmt.Println(fault)
	}
	text, _ := keys.Write(&job)
	fmt.Print(string(text))
	// Output:
	// method       text          what chooses
	// keep         list of texts nodes that stay
	// tune.epochs  number        passes over the samples
	// tune.lr      number        learning rate
	// job: job.yaml:2:3: tune.epoch: no such key; did you mean tune.epochs?
	// job: job.yaml:3:7: tune.lr: want a number > 0, got "high"
	// <nil>
	// lr: no such key; did you mean tune.lr?
	// <nil>
	// method: want one of search, uniform, got "unifrom"; did you mean uniform?
	// tune.epochs: want a number > 0, got -3
	// method: unifrom
	// keep: [conv1]
	// tune:
	//   epochs: -3
	//   lr: 0.05
}
