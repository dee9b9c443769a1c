package cpu

import "github.com/entangle-nas/entangle/engine/prim"

// tileGrad is weightGrad by tiles.
func (c *windowConv) tileGrad(x *executable, out, src, grad []float32) {
	blocks := (c.filters + 3) / 4
	t := c.tiled(len(x.team.workers), 4*blocks, tileGradBytes)
	triples := (c.channels + 2) / 3
	size := (blocks*triples*12 + 7) &^ 7
	units := t.bands * t.batches
	pieces := min(units, 2*len(x.team.workers))
	parts := x.scratch((pieces*tilePoints + 9) * size)
	x.team.run(pieces, func(w *worker, piece int) {
		part := parts[piece*tilePoints*size:][:tilePoints*size]
		clear(part)
		lo, hi := split(units, 1, pieces, piece)
		for i := lo; i < hi; i++ {
			t.weightGradTiles(x.k, w, part, size, src, grad, t.unit(i))
		}
	})
	taps := parts[pieces*tilePoints*size:]
	chunks := (size + tileChunk - 1) / tileChunk
	x.team.run(chunks, func(_ *worker, chunk int) {
		lo := chunk * tileChunk
		n := min(tileChunk, size-lo)
		for p := range tilePoints {
			sum := &parts[p*size+lo]
			for i := 1; i < pieces; i++ {
				x.k.binary[prim.Add](n, sum, sum, &parts[(i*tilePoints+p)*size+lo], 32, 32)
			}
		}
		x.k.winograd[winogradWeightGrads](n/8, &taps[lo], 12*size, 4*size, 32, &parts[lo], 24*size, 4*size, 32)
	})
	order := c.tapOrder()
	for m := range c.filters {
		for i := range c.channels {
			from := taps[(m/4*triples+i/3)*12+m%4*3+i%3:]
			to := out[(m*c.channels+i)*9:][:9]
			for j, at := range order {
				to[at] = from[j*size]
			}
		}
	}
}

// weightGradTiles adds the share of one unit to part, which is
// [point][block of 4 filters][3 channels][4][3].
func (t *tiling) weightGradTiles(k *kernels, w *worker, part []float32, size int, src, grad []float32, u tileUnit) {
	blocks, triples := (t.filters+3)/4, (t.channels+2)/3
	byFilter, byChannel := t.distance(4*blocks), t.distance(tileChannels)
	grads := w.scratch(scratchPanelA, max(tilePoints*byFilter, tileScratch))
	elements := w.scratch(scratchPanelB, max(tilePoints*byChannel, tileScratch))
	for m := range t.filters {
		t.gather(k, w, winogradGrads, grads[m*t.stride:], byFilter, u, grad, t.filters, m, t.rows, t.cols, 0, 0)
	}
	for m := t.filters; m < 4*blocks; m++ {
		for p := range tilePoints {
			clear(grads[p*byFilter+m*t.stride:][:8*u.vectors])
		}
	}
	offs := w.offsets(u.vectors + tileChannels)
	for v := range u.vectors {
		offs[v] = int64(32 * v)
	}
	taps := offs[u.vectors:]
	for c := 0; c < t.channels; c += tileChannels {
		n := min(tileChannels, t.channels-c)
		for i := range n {
			t.gather(k, w, winogradInputs, elements[i*t.stride:], byChannel, u, src, t.channels, c+i, t.h, t.w, -t.minY, -t.minX)
		}
		for i := range taps {
			taps[i] = int64(4 * min(i, n-1) * t.stride)
		}
		for p := range tilePoints {
			for b := range blocks {
				k.wgrad(u.vectors, &offs[0], &grads[p*byFilter+4*b*t.stride], 4*t.stride, &elements[p*byChannel], &taps[0], (n+2)/3, &part[p*size+(b*triples+c/3)*12])
			}
		}
	}
}
