// Detector is an example of a measure of one's own: a small detector of boxes, its training
// without labels of classes, and the program that scores it. docs/own-measure.md walks through it.
//
//	detector make FOLDER     train FOLDER/detector.onnx, write images without labels beside it
//	detector score MODEL     print the average precision of a model's boxes on drawn images, 0…100
package main

import (
	"context"
	"fmt"
	"os"
)

func main() {
	err := fmt.Errorf("want make FOLDER or score MODEL, got %q", os.Args[1:])
	if len(os.Args) == 3 {
		switch os.Args[1] {
		case "make":
			err = build(context.Background(), os.Args[2], 3000, 15)
		case "score":
			var ap float64
			if ap, err = score(os.Args[2]); err == nil {
				fmt.Printf("%.2f\n", 100*ap)
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "detector:", err)
		os.Exit(1)
	}
}
