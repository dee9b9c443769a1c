package cpu

// residues runs the convolutions of a list that inputGradConvs makes for a column
// stride of 2: they read one copy of the source, and their positions alternate in the
// rows of the result, those of parts 2i and 2i+1 in the same rows.
type residues struct {
	windowConv // of all taps, in positions of the first part
	parts      []windowConv
}

// residuesOf joins parts, nil where they do not alternate.
func residuesOf(parts []windowConv) *residues {
	c := parts[0]
	if !c.paired || len(parts)%2 != 0 || c.channels == 1 && c.groups > 1 {
		return nil
	}
	c.taps = nil
	for _, p := range parts {
		c.taps = append(c.taps, p.taps...)
	}
	if len(c.taps) == 0 {
		return nil
	}
	c.window = c.prepared()
	return &residues{c, parts}
}

// run computes all parts.
func (c *residues) run(x *executable, then *finisher, folds *folding, out, src, weights []float32) {
	c.cut(len(x.team.workers), unitBytes)
	blocks := (c.filters + 3) / 4
	size := 0
	for i := range c.parts {
		size += c.groups * blocks * 4 * c.channels * len(c.parts[i].taps)
	}
	panels := make([][]float32, len(c.parts))
	offs := make([][]int64, len(c.parts))
	packed := x.scratch(size)
	for i := range c.parts {
		p := &c.parts[i]
		n := c.groups * blocks * 4 * c.channels * len(p.taps)
		panels[i], packed = packed[:n], packed[n:]
		p.packInto(x, panels[i], weights)
		for ch := range c.channels {
			for _, t := range p.taps {
				offs[i] = append(offs[i], int64(4*(ch*c.channel(c.unitRows)+c.offset(t))))
			}
		}
	}
	all, plane := c.groups*c.channels, c.h*c.w
	down := len(c.parts) / 2
	ch := c.channel(c.unitRows)
	line := 8 * c.vectors
	tileSize := c.unitRows * line
	folds.begin(c.bands * c.batches)
	x.team.run(c.bands*c.batches, func(w *worker, unit int) {
		end, sums := then.start(w), folds.start(w)
		y0 := unit % c.bands * c.unitRows
		n0 := unit / c.bands * c.unitImages
		images := min(c.unitImages, c.images-n0)
		rows := min(c.unitRows, c.rows-y0)
		img := w.scratch(scratchImage, all*ch+8)
		tile := w.scratch(scratchTile, 2*4*blocks*tileSize)
		for i := n0; i < n0+images; i++ {
			for j := range all {
				c.fill(x.k, img[j*ch:(j+1)*ch], src[(i*all+j)*plane:][:plane], y0, rows)
			}
			for g := range c.groups {
				for a := range down {
					even, odd := &c.parts[2*a], &c.parts[2*a+1]
					n := min(rows, even.rows-y0)
					if n <= 0 {
						continue
					}
					for b := range 2 {
						to := tile[b*4*blocks*tileSize:]
						taps := len(c.parts[2*a+b].taps)
						if taps == 0 {
							clear(to[:4*blocks*tileSize])
							continue
						}
						k := taps * c.channels
						from := img[g*c.channels*ch:]
						var p, o [3]*float32
						for v := 0; v < n*c.vectors; v += 3 {
							nv := min(3, n*c.vectors-v)
							for j := range nv {
								p[j] = &from[(v+j)/c.vectors*c.rowStride()+8*((v+j)%c.vectors)]
								o[j] = &to[8*(v+j)]
							}
							x.k.conv[nv](k, &offs[2*a+b][0], &panels[2*a+b][g*blocks*4*k], &p, &o, 4*tileSize, blocks)
						}
					}
					for m := range c.filters {
						at := ((i*c.groups+g)*c.filters+m)*c.outPlane + even.outBase + y0*c.outRow
						x.k.merge(out[at:], c.outRow, n, tile[m*tileSize:], line, even.cols, tile[(4*blocks+m)*tileSize:], line, odd.cols)
					}
				}
				if end == nil && sums == nil {
					continue
				}
				// Rows of all parts of these positions; those of the last parts may be one less.
				width := c.parts[0].cols + c.parts[1].cols
				from, to := y0*down*width, min((y0+rows)*down*width, c.outPlane)
				for m := range c.filters {
					end.apply(((i*c.groups+g)*c.filters+m)*c.outPlane+from, to-from)
					sums.part(unit, i, g*c.filters+m, from, to-from)
				}
			}
		}
	})
}

// merge interleaves rows of a, of n elements, with rows of b, of m = n or n-1;
// rows are stride, p and q elements apart.
func (k *kernels) merge(dst []float32, stride, rows int, a []float32, p, n int, b []float32, q, m int) {
	whole := m &^ 7
	if whole > 0 {
		k.interleave(rows, whole, &dst[0], 4*stride, &a[0], 4*p, &b[0], 4*q)
	}
	if whole == n {
		return
	}
	for y := range rows {
		for i := whole; i < n; i++ {
			dst[y*stride+2*i] = a[y*p+i]
			if i < m {
				dst[y*stride+2*i+1] = b[y*q+i]
			}
		}
	}
}
