package cpu

// planeGrain is the multiplications of the smallest piece of planes.
const planeGrain = 1 << 16

// depthwiseConv computes convolutions in which every group has one channel, and which
// together cover the planes of one output: they differ in where their positions
// lie, those of a row of residues standing next to each other.
func depthwiseConv(x *executable, parts []windowConv, then *finisher, folds *folding, out, src, weights []float32) {
	panels := make([][]float32, len(parts))
	offs := make([][]int64, len(parts))
	size, tile, work := 0, 0, 0
	for i := range parts {
		c := &parts[i]
		taps := len(c.taps)
		panels[i], offs[i] = make([]float32, c.groups*c.filters*taps+1), make([]int64, taps+1)
		for g := range c.groups {
			for m := range c.filters {
				for t := range taps {
					panels[i][(g*c.filters+m)*taps+t] = weights[c.weights.at(g, m, 0, t)]
				}
			}
		}
		for t, tap := range c.taps {
			offs[i][t] = int64(4 * c.offset(tap))
		}
		size, tile = max(size, c.channel(c.rows)), max(tile, c.rows*c.cols)
		work += c.rows * c.cols * max(taps, 1)
	}
	c := &parts[0]
	planes := c.images * c.groups
	pieces := x.team.pieces(planes*c.filters*work, planeGrain, planes)
	folds.begin(pieces)
	x.team.run(pieces, func(w *worker, piece int) {
		img := w.scratch(scratchImage, size+8)
		tiles := w.scratch(scratchTile, c.outCol*tile+8)
		lo, hi := split(planes, 1, pieces, piece)
		end, sums := then.start(w), folds.start(w)
		for p := lo; p < hi; p++ {
			for i := range parts {
				c := &parts[i]
				taps := len(c.taps)
				c.fill(x.k, img, src[p*c.h*c.w:][:c.h*c.w], 0, c.rows)
				for m := range c.filters {
					at := p*c.filters + m
					to := out[at*c.outPlane+c.outBase:]
					part := tiles[i%c.outCol*tile:]
					switch wt := first(panels[i][at%(c.groups*c.filters)*taps:]); {
					case c.outCol == 1 && taps > 0:
						x.k.depthwise(taps, &offs[i][0], wt, &img[0], &to[0], c.rows, 4*c.rowStride(), 4*c.outRow, c.cols)
						continue
					case taps > 0:
						x.k.depthwise(taps, &offs[i][0], wt, &img[0], &part[0], c.rows, 4*c.rowStride(), 4*c.cols, c.cols)
					default:
						clear(part[:c.rows*c.cols])
					}
					if c.paired && c.filters == 1 {
						if i%2 == 1 {
							x.k.merge(out[at*c.outPlane+parts[i-1].outBase:], c.outRow, c.rows, tiles, parts[i-1].cols, parts[i-1].cols, part, c.cols, c.cols)
							continue
						}
						continue
					}
					for y := range c.rows {
						for i, v := range part[y*c.cols : (y+1)*c.cols] {
							to[y*c.outRow+i*c.outCol] = v
						}
					}
				}
			}
			end.apply(p*c.filters*c.outPlane, c.filters*c.outPlane)
			for m := range c.filters {
				at := p*c.filters + m
				sums.part(piece, at/(c.groups*c.filters), at%(c.groups*c.filters), 0, c.outPlane)
			}
		}
	})
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
				c.fill(x.k, img, src[(n*c.groups+g)*plane:][:plane], 0, c.rows)
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
