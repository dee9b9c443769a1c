// Command stream streams samples to entangle: --data "cmd:./stream".
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/entangle-nas/entangle/data"
)

const (
	size    = 8 // images of 8×8 grey pixels
	classes = 4
)

// samples are those of each part; a part without samples is none.
var samples = map[string]int{"train": 64, "val": 16, "test": 24}

// sample is yours: it appends the numbers of one sample as the model takes them, row by row,
// and returns its class.
func sample(pixels []float32, part string, i int) ([]float32, int64) {
	label := i % classes
	first := map[string]int{"train": 0, "val": 1000, "test": 2000}[part] + i
	for y := range size {
		for x := range size {
			pixels = append(pixels, float32((first*7+y*(label+1)+x*3)%32)/32)
		}
	}
	return pixels, int64(label)
}

func main() {
	if err := stream(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func stream() error {
	var asked struct {
		Part   string
		Limit  int
		Inputs []struct{ Name string }
	}
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	count, name := samples[asked.Part], "image"
	if asked.Limit > 0 {
		count = min(count, asked.Limit)
	}
	if len(asked.Inputs) > 0 {
		name = asked.Inputs[0].Name
	}
	out := bufio.NewWriter(os.Stdout)
	lines := json.NewEncoder(out)
	if err := lines.Encode(map[string]any{"entangle": 1, "part": asked.Part}); err != nil {
		return err
	}
	for first := 0; first < count; first += 10 {
		var images []float32
		var labels []int64
		for i := first; i < min(first+10, count); i++ {
			var label int64
			images, label = sample(images, asked.Part, i)
			labels = append(labels, label)
		}
		if err := lines.Encode(map[string]any{"arrays": []string{name, "labels"}}); err != nil {
			return err
		}
		for _, a := range []data.Array{
			{Shape: []int{len(labels), 1, size, size}, Data: images},
			{Shape: []int{len(labels)}, Data: labels},
		} {
			if err := data.WriteNPY(out, a); err != nil {
				return err
			}
		}
	}
	if err := lines.Encode(map[string]any{"end": true, "samples": count}); err != nil {
		return err
	}
	return out.Flush()
}
