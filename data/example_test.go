package data_test

import (
	"fmt"

	"github.com/entangle-nas/entangle/data"
)

func Example() {
	set, err := data.Synthetic(data.SyntheticOptions{
		Classes: 4, Shape: [3]int{1, 8, 8}, Train: 100, Test: 20, Seed: 1,
		Data: data.Options{Mean: []float64{0.5}, Std: []float64{0.25}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	parts, err := set.Part("train").All().Split(1, data.Share{Name: "weights", Fraction: 0.6}, data.Share{Name: "alpha", Fraction: 0.4})
	if err != nil {
		fmt.Println(err)
		return
	}
	augment, err := data.ParseAugments("crop:1,flip")
	if err != nil {
		fmt.Println(err)
		return
	}
	loader, err := parts[0].Loader(data.LoaderOptions{Batch: 32, Shuffle: true, Seed: 1, Name: "weights", Augment: augment})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loader.Close()
	err = loader.Each(func(b *data.Batch) error {
		fmt.Println(b.Inputs[0].Type, "valid", b.Valid)
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// f32[32 1 8 8] valid 32
	// f32[32 1 8 8] valid 28
}
