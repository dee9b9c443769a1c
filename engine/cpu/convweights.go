package cpu

// weightIndex says where the weight of (group, filter, channel, tap) lies.
type weightIndex struct {
	group, filter, channel int
	tap                    []int
}

func (w *weightIndex) at(g, m, c, t int) int {
	return g*w.group + m*w.filter + c*w.channel + w.tap[t]
}

// packWeights lays weights out as [group][block of 4 filters][channel·tap][4], zero
// beyond the last filter.
func (c *windowConv) packWeights(x *executable, w []float32) []float32 {
	panel := x.scratch(c.groups * ((c.filters + 3) / 4) * 4 * c.channels * len(c.taps))
	c.packInto(x, panel, w)
	return panel
}

// packInto is packWeights into a panel of its size.
func (c *windowConv) packInto(x *executable, panel, w []float32) {
	k := c.channels * len(c.taps)
	blocks := (c.filters + 3) / 4
	pieces := x.team.pieces(len(panel), mapGrain, c.groups*blocks)
	x.team.run(pieces, func(_ *worker, piece int) {
		lo, hi := split(c.groups*blocks, 1, pieces, piece)
		for b := lo; b < hi; b++ {
			p := panel[b*4*k:][:4*k]
			for i := range 4 {
				m := b%blocks*4 + i
				if m >= c.filters {
					for at := i; at < len(p); at += 4 {
						p[at] = 0
					}
					continue
				}
				at, from := i, b/blocks*c.weights.group+m*c.weights.filter
				for range c.channels {
					for _, t := range c.weights.tap {
						p[at] = w[from+t]
						at += 4
					}
					from += c.weights.channel
				}
			}
		}
	})
}

// weightGrad sets out[m, c, t] = Σ_{n, y, x} grad[n, m, y, x] · src[n, c, window(y, x, t)],
// in the order of groups, filters, channels and taps. Pieces take ranges of
// images and are added up in order.
func (c *windowConv) weightGrad(x *executable, out, src, grad []float32) {
	k := c.channels * len(c.taps)
	triples := (k + 2) / 3
	blocks := (c.filters + 3) / 4
	size := c.groups * blocks * triples * 12
	taps := c.offsets(c.unitRows)[:k]
	for len(taps) < 3*triples {
		taps = append(taps, taps[k-1])
	}
	pieces := min(c.batches*c.bands, 2*len(x.team.workers))
	parts := x.scratch(pieces * size)
	x.team.run(pieces, func(w *worker, piece int) {
		part := parts[piece*size : (piece+1)*size]
		clear(part)
		lo, hi := split(c.batches*c.bands, 1, pieces, piece)
		for unit := lo; unit < hi; unit++ {
			c.weightGradUnit(x.k, w, part, src, grad, taps, unit)
		}
	})
	for g := range c.groups {
		for m := range c.filters {
			o := out[(g*c.filters+m)*k:][:k]
			at := (g*blocks+m/4)*triples*12 + m%4*3
			for t := range o {
				s := float32(0)
				for p := range pieces {
					s += parts[p*size+at+t/3*12+t%3]
				}
				o[t] = s
			}
		}
	}
}

// weightGradUnit adds the share of one unit of images and rows to part, which is
// [group][block of 4 filters][3 taps][4][3].
func (c *windowConv) weightGradUnit(k *kernels, w *worker, part, src, grad []float32, taps []int64, unit int) {
	all, plane, positions := c.groups*c.channels, c.h*c.w, c.rows*c.cols
	triples, blocks := len(taps)/3, (c.filters+3)/4
	ch := c.channel(c.unitRows)
	gs := 8*c.unitImages*c.unitRows*c.vectors + 16
	img := w.scratch(scratchImage, c.unitImages*all*ch+8)
	gp := w.scratch(scratchPanelB, 4*blocks*gs)
	y0 := unit % c.bands * c.unitRows
	rows := min(c.unitRows, c.rows-y0)
	n0 := unit / c.bands * c.unitImages
	images := min(c.unitImages, c.images-n0)
	for i := range images * all {
		c.fill(k, img[i*ch:(i+1)*ch], src[(n0*all+i)*plane:][:plane], y0, rows)
	}
	total := images * rows * c.vectors
	offs := w.offsets(total)
	for v := range total {
		r, xv := v/c.vectors, v%c.vectors
		offs[v] = int64(4 * (r/rows*all*ch + r%rows*c.rowStride() + 8*xv))
	}
	for g := range c.groups {
		for m := range 4 * blocks {
			row := gp[m*gs : m*gs+8*total]
			if m >= c.filters {
				clear(row)
				continue
			}
			for i := range images {
				from := grad[(((n0+i)*c.groups+g)*c.filters+m)*positions+y0*c.cols:][:rows*c.cols]
				if c.cols == 8*c.vectors {
					copy(row[i*len(from):], from)
					continue
				}
				for y := range rows {
					to := row[8*c.vectors*(i*rows+y):][:8*c.vectors]
					copy(to, from[y*c.cols:(y+1)*c.cols])
					clear(to[c.cols:])
				}
			}
		}
		for b := range blocks {
			k.wgrad(total, &offs[0], &gp[4*b*gs], 4*gs, &img[g*c.channels*ch], &taps[0], triples, &part[(g*blocks+b)*triples*12])
		}
	}
}
