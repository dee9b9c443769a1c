package cpu

// planeGrain is the multiplications of the smallest piece of planes.
const planeGrain = 1 << 16

// depthwise computes the convolution when every group has one channel.
func (c *windowConv) depthwise(x *executable, out, src, weights []float32) {
	taps, plane := len(c.taps), c.h*c.w
	panel := x.scratch(c.groups*c.filters*taps + 1)
	for g := range c.groups {
		for m := range c.filters {
			for t := range taps {
				panel[(g*c.filters+m)*taps+t] = weights[c.weight(g, m, 0, t)]
			}
		}
	}
	offs := make([]int64, taps+1)
	for t, tap := range c.taps {
		offs[t] = int64(4 * c.offset(tap))
	}
	planes := c.images * c.groups
	pieces := x.team.pieces(planes*c.filters*c.rows*c.cols*max(taps, 1), planeGrain, planes)
	size := c.channel(c.rows)
	x.team.run(pieces, func(w *worker, piece int) {
		img := w.scratch(scratchImage, size+8)
		tile := w.scratch(scratchTile, c.rows*c.cols)
		lo, hi := split(planes, 1, pieces, piece)
		for p := lo; p < hi; p++ {
			c.fill(img, src[p*plane:][:plane], 0, c.rows)
			for m := range c.filters {
				at := p*c.filters + m
				to := out[at*c.outPlane+c.outBase:]
				if taps == 0 {
					clear(tile)
				} else if wt := &panel[at%(c.groups*c.filters)*taps]; c.outCol == 1 {
					x.k.depthwise(taps, &offs[0], wt, &img[0], &to[0], c.rows, 4*c.rowStride(), 4*c.outRow, c.cols)
					continue
				} else {
					x.k.depthwise(taps, &offs[0], wt, &img[0], &tile[0], c.rows, 4*c.rowStride(), 4*c.cols, c.cols)
				}
				for y := range c.rows {
					spread(to[y*c.outRow:], tile[y*c.cols:(y+1)*c.cols], c.outCol)
				}
			}
		}
	})
}

// spread writes values step elements apart.
func spread(dst, values []float32, step int) {
	if step == 2 && len(values) > 0 {
		dst = dst[:2*len(values)-1]
		for i, v := range values {
			dst[2*i] = v
		}
		return
	}
	for i, v := range values {
		dst[i*step] = v
	}
}

// depthwiseWeightGrad is weightGrad when every group has one channel. A piece
// takes all images of some groups.
func (c *windowConv) depthwiseWeightGrad(x *executable, out, src, grad []float32) {
	taps, plane, positions := len(c.taps), c.h*c.w, c.rows*c.cols
	at := make([]int64, taps+1)
	for t, tap := range c.taps {
		at[t] = int64(4 * c.offset(tap))
	}
	total := c.rows * c.vectors
	offs := make([]int64, total)
	for v := range offs {
		offs[v] = int64(4 * (v/c.vectors*c.rowStride() + 8*(v%c.vectors)))
	}
	pieces := x.team.pieces(c.images*c.groups*c.filters*positions*taps, planeGrain, c.groups)
	size := c.channel(c.rows)
	x.team.run(pieces, func(w *worker, piece int) {
		img := w.scratch(scratchImage, size+8)
		packed := w.scratch(scratchPanelB, 8*total)
		sums := make([]float64, c.filters*taps)
		var part [9]float32
		lo, hi := split(c.groups, 1, pieces, piece)
		for g := lo; g < hi; g++ {
			clear(sums)
			for n := range c.images {
				c.fill(img, src[(n*c.groups+g)*plane:][:plane], 0, c.rows)
				for m := range c.filters {
					gp := grad[((n*c.groups+g)*c.filters+m)*positions:][:positions]
					if c.cols%8 != 0 {
						for y := range c.rows {
							to := packed[8*c.vectors*y:][:8*c.vectors]
							copy(to, gp[y*c.cols:(y+1)*c.cols])
							clear(to[c.cols:])
						}
						gp = packed
					}
					for t := 0; t < taps; {
						k := 9
						for _, s := range []int{9, 5, 3, 1} {
							if k = s; s <= taps-t {
								break
							}
						}
						x.k.depthwiseGrad[k](total, &offs[0], &gp[0], &img[0], &at[t], &part[0])
						for i, v := range part[:k] {
							sums[m*taps+t+i] += float64(v)
						}
						t += k
					}
				}
			}
			for i, v := range sums {
				out[g*c.filters*taps+i] = float32(v)
			}
		}
	})
}
