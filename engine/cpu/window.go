package cpu

// tap is one kernel position: the offset in the source from a position's origin.
type tap struct{ dy, dx int }

// window says how a grid of rows × cols positions reads planes of h × w: position
// (y, x) and tap t meet source element (y·sy + t.dy, x·sx + t.dx), zero outside.
//
// Kernels read a copy of some rows of some images in which every tap is a plain
// offset: rows are padded with zeros and split by x mod sx, so that the positions
// of one row read consecutive elements.
type window struct {
	h, w, rows, cols int
	sy, sx           int
	taps             []tap

	minY, minX int // smallest offsets
	spanY      int // largest dy - minY
	phases     int // parts of a split row in use
	width      int // of one part
	vectors    int // of 8 positions per row
}

func (g window) prepared() window {
	if len(g.taps) > 0 {
		g.minY, g.minX = g.taps[0].dy, g.taps[0].dx
	}
	maxY, maxX := g.minY, g.minX
	for _, t := range g.taps {
		g.minY, maxY = min(g.minY, t.dy), max(maxY, t.dy)
		g.minX, maxX = min(g.minX, t.dx), max(maxX, t.dx)
	}
	g.spanY = maxY - g.minY
	g.phases = min(g.sx, maxX-g.minX+1)
	g.vectors = (g.cols + 7) / 8
	g.width = 8*g.vectors + (maxX-g.minX)/g.sx
	return g
}

// channel returns the stride in floats between channels of a copy for n rows of
// positions; it keeps channels off each other's cache sets.
func (g *window) channel(n int) int {
	s := ((n-1)*g.sy + g.spanY + 1) * g.phases * g.width
	if s%128 == 0 {
		s += 16
	}
	return s
}

// rowStride is the distance in floats between the copies of two rows of positions.
func (g *window) rowStride() int { return g.sy * g.phases * g.width }

// offset returns where in a copied channel tap t of position (0, 0) lies.
func (g *window) offset(t tap) int {
	dx := t.dx - g.minX
	return ((t.dy-g.minY)*g.phases+dx%g.sx)*g.width + dx/g.sx
}

// fill copies what positions of rows [y0, y0+n) read from the h×w plane src to dst. It
// may overwrite 8 elements behind.
func (g *window) fill(k *kernels, dst, src []float32, y0, n int) {
	rowLen := g.phases * g.width
	if g.sx == 1 && g.sy == 1 {
		lo := max(0, min(-g.minX, rowLen))
		hi := max(lo, min(g.w-g.minX, rowLen))
		if lo <= 8 && rowLen-hi <= 8 && hi-lo >= 8 {
			total := n + g.spanY
			r0 := max(0, min(-y0-g.minY, total))
			r1 := max(r0, min(g.h-y0-g.minY, total))
			clear(dst[:r0*rowLen])
			if r0 < r1 {
				k.padRows(r1-r0, &dst[r0*rowLen], 4*rowLen, &src[(y0+g.minY+r0)*g.w+g.minX+lo], 4*g.w, hi-lo, lo)
			}
			clear(dst[r1*rowLen : total*rowLen])
			return
		}
		for r := range n + g.spanY {
			row := dst[r*rowLen : (r+1)*rowLen]
			y := y0 + g.minY + r
			if y < 0 || y >= g.h {
				clear(row)
				continue
			}
			for i := range lo {
				row[i] = 0
			}
			if lo < hi {
				copy(row[lo:hi], src[y*g.w+g.minX+lo:])
			}
			for i := hi; i < rowLen; i++ {
				row[i] = 0
			}
		}
		return
	}
	if g.sx == 2 && g.minX <= 0 {
		g.fillPairs(k, dst, src, y0, n)
		return
	}
	for r := range (n-1)*g.sy + g.spanY + 1 {
		row := dst[r*rowLen : (r+1)*rowLen]
		y := y0*g.sy + g.minY + r
		if y < 0 || y >= g.h || !g.reads(r) {
			clear(row)
			continue
		}
		line := src[y*g.w : (y+1)*g.w]
		for q := range g.phases {
			part := row[q*g.width : (q+1)*g.width]
			first := q + g.minX // source column of part[0]
			lo := 0
			if first < 0 {
				lo = min((-first+g.sx-1)/g.sx, len(part))
			}
			hi := lo
			if rest := g.w - first; rest > 0 {
				hi = max(lo, min((rest+g.sx-1)/g.sx, len(part)))
			}
			clear(part[:lo])
			clear(part[hi:])
			if lo == hi {
				continue
			}
			if g.sx == 1 {
				copy(part[lo:hi], line[first+lo:])
				continue
			}
			x := first + lo*g.sx
			for i := lo; i < hi; i++ {
				part[i] = line[x]
				x += g.sx
			}
		}
	}
}

// fillPairs is fill for rows split in two.
func (g *window) fillPairs(k *kernels, dst, src []float32, y0, n int) {
	rowLen := g.phases * g.width
	total := (n-1)*g.sy + g.spanY + 1
	clear(dst[:total*rowLen])
	// Where source columns 0 and 1 lie in a row, and how many of their kind are copied.
	place := func(x int) (at, count int) {
		q, i := (x-g.minX)%2, (x-g.minX)/2
		if q >= g.phases {
			return 0, 0
		}
		return q*g.width + i, max(0, min((g.w-x+1)/2, g.width-i))
	}
	even, evens := place(0)
	odd, odds := place(1)
	top := y0*g.sy + g.minY
	step := g.sy
	if g.readsAll() {
		step = 1
	}
	for a := range step {
		if !g.reads(a) {
			continue
		}
		r := a
		if r+top < 0 {
			r += (step - 1 - r - top) / step * step
		}
		last := min(total, g.h-top) // rows of the copy that lie in the plane end here
		if r >= last {
			continue
		}
		rows := (last - r + step - 1) / step
		to, from := dst[r*rowLen:], src[(r+top)*g.w:]
		switch {
		case evens > 0:
			k.deinterleave(rows, evens, odds, &to[even], &to[odd], 4*step*rowLen, &from[0], 4*step*g.w)
		case odds > 0:
			k.deinterleave(rows, odds, 0, &to[odd], &to[odd], 4*step*rowLen, &from[1], 4*step*g.w)
		}
	}
}

// readsAll reports whether taps read every copied row.
func (g *window) readsAll() bool {
	for a := range g.sy {
		if !g.reads(a) {
			return false
		}
	}
	return true
}

// reads reports whether a tap reads copied row r for some row of positions.
func (g *window) reads(r int) bool {
	if g.sy == 1 {
		return true
	}
	for _, t := range g.taps {
		if (r-(t.dy-g.minY))%g.sy == 0 {
			return true
		}
	}
	return false
}
