// Command textlines draws lines of text as a data set of images, which text
// recognisers need and no registry has:
//
//	go run ./internal/textlines -text stories.txt -train 3000 -test 500 -size 48x128 DIR
//
// It writes DIR/train/lines/00000.png … and DIR/test/lines/…, RGB. The words of the
// last tenth of the text are those of the test part, the others those of the training
// part. Fonts are the Go fonts; face, size, place, colours and noise are drawn from a
// stream of the seed, so the same arguments give the same files.
package main
