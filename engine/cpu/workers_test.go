package cpu

import (
	"fmt"
	"testing"
)

// BenchmarkSmallPieces: two independent pieces of work one after the other and on two
// workers, by the size of a piece. Below the size where two workers win, independent
// small nodes are better run in turn.
func BenchmarkSmallPieces(b *testing.B) {
	for _, turns := range []int{1_000, 16_000, 64_000, 256_000} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%d/threads=%d", turns, threads), func(b *testing.B) {
				t := newTeam(threads)
				var out [2][16]float64
				for b.Loop() {
					t.run(2, func(_ *worker, piece int) {
						x := 1.0
						for range turns {
							x = x*0.999 + 0.5
						}
						out[piece][0] = x
					})
				}
			})
		}
	}
}
