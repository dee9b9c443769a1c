// Faces is an example of a measure of one's own on a published detector: how many of the boxes
// that the original finds a smaller model finds as well. It is for UltraFace (version-slim-320),
// whose outputs are scores [1, 4420, 2] and boxes [1, 4420, 4].
//
//	faces make FOLDER             draw images without labels: FOLDER/train, FOLDER/test
//	faces agree ORIGINAL MODEL    print the agreement of their boxes on other images, 0…100
package main

import (
	"fmt"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
)

func main() {
	err := fmt.Errorf("want make FOLDER or agree ORIGINAL MODEL, got %q", os.Args[1:])
	switch {
	case len(os.Args) == 3 && os.Args[1] == "make":
		err = write(os.Args[2], 400, 80)
	case len(os.Args) == 4 && os.Args[1] == "agree":
		var f float64
		if f, err = agree(os.Args[2], os.Args[3], 150); err == nil {
			fmt.Printf("%.2f\n", 100*f)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "faces:", err)
		os.Exit(1)
	}
}

// write draws so many images of each part. The same numbers give the same files.
func write(dir string, train, test int) error {
	for part, x := range map[string]struct {
		seed uint64
		n    int
	}{"train": {1, train}, "test": {2, test}} {
		if err := os.MkdirAll(filepath.Join(dir, part), 0o777); err != nil {
			return err
		}
		r := rand.New(rand.NewPCG(x.seed, 0))
		for i := range x.n {
			f, err := os.Create(filepath.Join(dir, part, fmt.Sprintf("%04d.png", i)))
			if err != nil {
				return err
			}
			if err := png.Encode(f, draw(r)); err != nil {
				f.Close()
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}
