package cpu

// windowConv computes out[n, m, y, x] = Σ_{c, t} w[m, c, t] · src[n, c, window(y, x, t)]
// for every group, where output position (y, x) of plane (n, m) is stored at
// outBase + y·outRow + x·outCol.
type windowConv struct {
	window
	images, groups           int
	channels, filters        int // per group
	weights                  weightIndex
	outPlane                 int // elements of an output plane
	outBase, outRow, outCol  int
	paired                   bool // positions of convolutions 2i and 2i+1 of a list alternate along rows
	unitImages, unitRows     int  // of one piece
	bands, batches, sections int  // pieces along rows, images and filters
}

const (
	unitBytes    = 192 << 10 // copied source per piece
	gradBytes    = 448 << 10 // and of weight gradients
	sectionFlops = 1 << 20   // below which filters are not cut
	unitVectors  = 96        // vectors of positions below which a piece takes more images
)

// cut chooses the pieces for a number of threads and a size of the copied source.
func (c *windowConv) cut(threads, unitBytes int) {
	c.unitRows, c.unitImages = c.rows, 1
	for c.unitRows > 1 && 4*c.channels*c.groups*c.channel(c.unitRows) > unitBytes {
		c.unitRows = (c.unitRows + 1) / 2
	}
	c.bands = (c.rows + c.unitRows - 1) / c.unitRows
	if c.bands == 1 {
		one := 4 * c.channels * c.groups * c.channel(c.rows)
		per := c.rows * c.vectors
		for c.unitImages < c.images && (c.unitImages+1)*one <= unitBytes && c.unitImages*per < unitVectors &&
			(c.images+c.unitImages)/(c.unitImages+1) >= 2*threads {
			c.unitImages++
		}
	}
	c.batches = (c.images + c.unitImages - 1) / c.unitImages
	c.sections = 1
	if p := c.bands * c.batches; p%threads != 0 && p < 2*threads && c.filters >= 16 && c.flops() >= sectionFlops {
		// Every section copies the source again.
		c.sections = min((threads+p-1)/p, c.filters/8)
		if p > threads {
			c.sections = min(2, c.filters/8)
		}
	}
}

func (c *windowConv) flops() float64 {
	return 2 * float64(c.images*c.groups*c.filters*c.rows*c.cols) * float64(c.channels*len(c.taps))
}

// offsets returns the byte offset of every (channel, tap) in a copied image for n rows.
func (c *windowConv) offsets(n int) []int64 {
	out := make([]int64, 0, c.channels*len(c.taps)+1)
	ch := c.channel(n)
	for i := range c.channels {
		for _, t := range c.taps {
			out = append(out, int64(4*(i*ch+c.offset(t))))
		}
	}
	return append(out, 0)
}

// run computes the convolution with packed weights. With a finisher or folds the positions
// of a plane must be consecutive.
func (c *windowConv) run(x *executable, then *finisher, folds *folding, out, src, panel []float32) {
	all := c.groups * c.channels
	plane := c.h * c.w
	k := c.channels * len(c.taps)
	blocks := (c.filters + 3) / 4
	offs := c.offsets(c.unitRows)
	folds.begin(c.bands * c.batches * c.sections)
	x.team.run(c.bands*c.batches*c.sections, func(w *worker, piece int) {
		section := piece % c.sections
		unit := piece / c.sections
		y0 := unit % c.bands * c.unitRows
		rows := min(c.unitRows, c.rows-y0)
		n0 := unit / c.bands * c.unitImages
		images := min(c.unitImages, c.images-n0)
		ch := c.channel(c.unitRows)
		img := w.scratch(scratchImage, images*all*ch+8)
		for i := range images * all {
			c.fill(x.k, img[i*ch:(i+1)*ch], src[(n0*all+i)*plane:][:plane], y0, rows)
		}
		b0, b1 := split(blocks, 1, c.sections, section)
		tile := w.scratch(scratchTile, 24*4*(b1-b0))
		total := images * rows * c.vectors
		for g := range c.groups {
			pa := panel[(g*blocks+b0)*4*k:]
			full := b1 - b0
			if b1*4 > c.filters {
				full--
			}
			var p, o [3]*float32
			var at [3]int
			for v := 0; v < total; v += 3 {
				nv := min(3, total-v)
				direct := c.outCol == 1
				for j := range nv {
					r, xv := (v+j)/c.vectors, (v+j)%c.vectors
					i, y := r/rows, r%rows
					from := c.start(xv)
					p[j] = &img[(i*all+g*c.channels)*ch+y*c.rowStride()+from]
					at[j] = ((n0+i)*c.groups+g)*c.filters*c.outPlane + 4*b0*c.outPlane + c.outBase + (y0+y)*c.outRow + from*c.outCol
					direct = direct && from+8 <= c.cols
				}
				rest := b1 - b0
				done := 0
				if direct && full > 0 {
					for j := range nv {
						o[j] = &out[at[j]]
					}
					x.k.conv[nv](k, &offs[0], first(pa), &p, &o, 4*c.outPlane, full)
					rest -= full
					done = full
				}
				if rest == 0 {
					continue
				}
				for j := range nv {
					o[j] = &tile[8*j]
				}
				x.k.conv[nv](k, &offs[0], first(pa[4*k*done:]), &p, &o, 96, rest)
				for j := range nv {
					n := min(8, c.cols-c.start((v+j)%c.vectors))
					for m := 4 * done; m < min(4*(b1-b0), c.filters-4*b0); m++ {
						from := tile[24*(m-4*done)+8*j:][:n]
						to := out[at[j]+m*c.outPlane:]
						if c.outCol == 1 {
							copy(to[:n], from)
							continue
						}
						for t, s := range from {
							to[t*c.outCol] = s
						}
					}
				}
			}
		}
		if then == nil && folds == nil {
			return
		}
		end, sums := then.start(w), folds.start(w)
		for i := range images {
			for g := range c.groups {
				for m := 4 * b0; m < min(4*b1, c.filters); m++ {
					end.apply((((n0+i)*c.groups+g)*c.filters+m)*c.outPlane+y0*c.outRow, rows*c.outRow)
					sums.part(piece, n0+i, g*c.filters+m, y0*c.outRow, rows*c.outRow)
				}
			}
		}
	})
}

// start returns the position at which vector v of a row starts: the last one
// overlaps its neighbour rather than run over the end of the row.
func (c *windowConv) start(v int) int { return max(0, min(8*v, c.cols-8)) }

// first returns the address of the first element, nil for none.
func first(s []float32) *float32 {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}
