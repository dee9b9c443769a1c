package cpu

// The transforms of Winograd's F(4×4, 3×3): a tile of 4×4 positions reads 6×6 elements,
// and its results are linear in the 36 products of transformed elements and weights,
// a quarter of the multiplications of the sum over 9 taps. The points are 0, ±√½, ±√2
// and ∞, with which the rounding error is near that of the direct sum.
const (
	winogradInputs = iota
	winogradOutputs
	winogradGrads
	winogradWeight
	winogradWeightGrads
	winogradTransforms
)

const (
	tileSide   = 4  // positions of a tile along an axis
	tileWindow = 6  // elements that they read
	tilePoints = 36 // products per tile
	tileLanes  = 8  // images whose tiles are computed together, one per lane

	tileBytes      = 640 << 10 // transformed elements of a piece
	tileGradBytes  = 640 << 10 // transformed gradients of a piece
	tileFilters    = 16        // filters whose products are held at once
	tileChannels   = 18        // channels that are transformed at once for weight gradients
	tilePieces     = 2         // pieces per thread at least
	tileChunk      = 512       // weights that are transformed at once
	tileScratch    = 172 << 10 // floats of a buffer that most layers can do with, so that it need not grow
	tileWorthwhile = 0.9       // of the direct time
)

// tiling is a convolution of 3×3 taps and stride 1 cut into tiles. Lane i of the vectors
// of a group of images belongs to image i of it.
type tiling struct {
	*windowConv
	down, across int // tiles of a plane
	sets         int // groups of images
	unitSets     int // of one piece
	unitRows     int // rows of tiles of one piece
	bands        int // pieces along rows
	batches      int // pieces along images
	stride       int // floats between the transformed planes of two channels or filters
}

// isTiled reports whether tiles are faster than the direct sum.
func (c *windowConv) isTiled() bool {
	if len(c.taps) != 9 || c.sx != 1 || c.sy != 1 || c.outCol != 1 || c.outRow != c.cols || c.groups != 1 || c.minX > 0 || c.minX < -2 {
		return false
	}
	seen := [9]bool{}
	for _, t := range c.taps {
		y, x := t.dy-c.minY, t.dx-c.minX
		if y > 2 || x > 2 || seen[3*y+x] {
			return false
		}
		seen[3*y+x] = true
	}
	// In processor cycles, for whole vectors.
	filters := (c.filters + 3) &^ 3
	products := float64(c.channels * filters)
	direct := float64(c.images*c.rows*c.vectors) * 5 * products
	tiles := (c.images + tileLanes - 1) / tileLanes * ((c.rows + tileSide - 1) / tileSide) * ((c.cols + tileSide - 1) / tileSide)
	return float64(tiles)*(100*float64(c.channels)+85*float64(filters)+21*products)+30*products < tileWorthwhile*direct
}

// tiled cuts c into pieces for a number of threads; held planes of transformed
// elements take up to limit bytes in a piece.
func (c *windowConv) tiled(threads, held, limit int) tiling {
	t := tiling{windowConv: c, sets: (c.images + tileLanes - 1) / tileLanes, unitSets: 1}
	t.down, t.across = (c.rows+tileSide-1)/tileSide, (c.cols+tileSide-1)/tileSide
	vectors := max(1, limit/(4*tileLanes*tilePoints*held))
	t.bands = (t.down*t.across + vectors - 1) / vectors
	t.bands = min(t.bands, t.down)
	t.unitRows = (t.down + t.bands - 1) / t.bands
	t.bands = (t.down + t.unitRows - 1) / t.unitRows
	if t.bands == 1 {
		t.unitSets = max(1, min(vectors/(t.down*t.across), t.sets/(tilePieces*threads)))
	}
	t.batches = (t.sets + t.unitSets - 1) / t.unitSets
	t.stride = tileLanes * (t.unitSets*t.unitRows*t.across + 1)
	return t
}

// tileUnit is one piece.
type tileUnit struct {
	row, rows  int // of tiles
	set, sets  int
	image, end int
	vectors    int // of a transformed plane
}

func (t *tiling) unit(piece int) tileUnit {
	u := tileUnit{row: piece % t.bands * t.unitRows, set: piece / t.bands * t.unitSets}
	u.rows, u.sets = min(t.unitRows, t.down-u.row), min(t.unitSets, t.sets-u.set)
	u.image, u.end = u.set*tileLanes, min(t.images, (u.set+u.sets)*tileLanes)
	u.vectors = u.sets * u.rows * t.across
	return u
}

// distance returns the floats between the transformed planes of two points for a
// number of channels or filters; it keeps them off each other's cache sets.
func (t *tiling) distance(channels int) int {
	n := channels * t.stride
	return n + (16-n%128+128)%128
}

// gather transforms one channel of a piece: the planes of size h×w, all of them per image,
// read with lead columns and top rows of zeros before.
func (t *tiling) gather(k *kernels, w *worker, kind int, to []float32, distance int, u tileUnit, src []float32, all, channel, h, width, top, lead int) {
	side := tileSide
	if kind == winogradInputs {
		side = tileWindow
	}
	rows := tileSide*(u.rows-1) + side
	blocks := (width + 7) / 8
	line := max(tileSide*(t.across-1)+side, lead+8*blocks)
	img := w.scratch(scratchImage, 8*rows*line)
	y0 := tileSide*u.row - top
	r0, r1 := max(0, min(-y0, rows)), max(0, min(h-y0, rows))
	for s := range u.sets {
		image := u.image + s*tileLanes
		from, plane, row := src[(image*all+channel)*h*width:], 4*all*h*width, 4*width
		if n := t.images - image; n < tileLanes {
			from, plane = t.copied(w, from, n, all*h*width, h*width), 4*h*width
		}
		clear(img[:8*r0*line])
		if r0 < r1 {
			k.toLanes(r1-r0, &img[8*r0*line], 32*line, &from[(y0+r0)*width], row, plane, width, lead, line-lead-width, 4*h*width)
		}
		clear(img[8*max(r0, r1)*line:])
		for r := range u.rows {
			k.winograd[kind](t.across, &to[8*(s*u.rows+r)*t.across], 24*distance, 4*distance, 32, &img[8*tileSide*r*line], 32*line, 32, 32*tileSide)
		}
	}
}

// copied returns the planes of n images, stride elements apart, and zeros for the lanes
// beyond them.
func (t *tiling) copied(w *worker, src []float32, n, stride, plane int) []float32 {
	to := w.scratch(scratchCopy, tileLanes*plane)
	for i := range n {
		copy(to[i*plane:(i+1)*plane], src[i*stride:])
	}
	clear(to[n*plane:])
	return to
}

// runTiles is run by tiles, with weights from packTiles.
func (c *windowConv) runTiles(x *executable, then *finisher, folds *folding, out, src, panel []float32) {
	t := c.tiled(len(x.team.workers), c.channels, tileBytes)
	blocks := (c.filters + 3) / 4
	points := tilePanel(blocks * 4 * c.channels)
	in, held := t.distance(c.channels), t.distance(tileFilters)
	line := (tileSide*t.across + 7) &^ 7
	folds.begin(t.bands * t.batches)
	x.team.run(t.bands*t.batches, func(w *worker, piece int) {
		u := t.unit(piece)
		elements := w.scratch(scratchPanelB, max(tilePoints*in, tileScratch))
		products := w.scratch(scratchPanelA, max(tilePoints*held, tileScratch))
		for i := range c.channels {
			t.gather(x.k, w, winogradInputs, elements[i*t.stride:], in, u, src, c.channels, i, c.h, c.w, -c.minY, -c.minX)
		}
		tile := w.scratch(scratchTile, 8*(tileSide*u.rows*line))
		at, rows := tileSide*u.row*c.cols, min(tileSide*u.rows, c.rows-tileSide*u.row)
		end, sums := then.start(w), folds.start(w)
		for b := 0; b < blocks; b += tileFilters / 4 {
			n := min(tileFilters/4, blocks-b)
			for p := range tilePoints {
				x.k.panelProducts(c.channels, u.vectors, n, &panel[p*points+4*b*c.channels], &elements[p*in], 4*t.stride, &products[p*held], 4*t.stride)
			}
			for m := 4 * b; m < min(4*(b+n), c.filters); m++ {
				for i := u.image; i < u.end && m+1 < c.filters; i++ {
					end.fetch((i*c.filters+m+1)*c.outPlane+at, rows*c.cols)
					sums.fetch(i, m+1, at, rows*c.cols)
				}
				for s := range u.sets {
					for r := range u.rows {
						x.k.winograd[winogradOutputs](t.across, &tile[8*tileSide*r*line], 32*line, 32, 32*tileSide, &products[(m-4*b)*t.stride+8*(s*u.rows+r)*t.across], 24*held, 4*held, 32)
					}
					t.scatter(x.k, w, out, tile, line, u.image+s*tileLanes, m, tileSide*u.row, rows)
				}
				if end == nil && sums == nil {
					continue
				}
				for i := u.image; i < u.end; i++ {
					end.apply((i*c.filters+m)*c.outPlane+at, rows*c.cols)
					sums.part(piece, i, m, at, rows*c.cols)
				}
			}
		}
	})
}

// scatter writes rows of one filter of 8 images from image on.
func (t *tiling) scatter(k *kernels, w *worker, out, tile []float32, line, image, filter, row, rows int) {
	at := (image*t.filters+filter)*t.outPlane + row*t.cols
	n := min(tileLanes, t.images-image)
	blocks := (t.cols + 7) / 8
	if n == tileLanes && t.cols%8 == 0 {
		k.fromLanes(rows, &out[at], 4*t.cols, 4*t.filters*t.outPlane, &tile[0], 32*line, blocks)
		return
	}
	size := 8 * blocks
	to := w.scratch(scratchCopy, tileLanes*rows*size)
	k.fromLanes(rows, &to[0], 4*size, 4*rows*size, &tile[0], 32*line, blocks)
	for i := range n {
		for y := range rows {
			copy(out[at+i*t.filters*t.outPlane+y*t.cols:][:t.cols], to[(i*rows+y)*size:])
		}
	}
}

// tilePanel is the distance in floats between the transformed weights of two points.
func tilePanel(weights int) int { return (weights+7)&^7 + 16 }

// tapOrder returns where the weight of every tap of a 3×3 window lies, rows first.
func (c *windowConv) tapOrder() (order [9]int) {
	for i, t := range c.taps {
		order[3*(t.dy-c.minY)+t.dx-c.minX] = c.weights.tap[i]
	}
	return order
}

// packTiles lays transformed weights out as [point][block of 4 filters][channel][4].
func (c *windowConv) packTiles(x *executable, w []float32) []float32 {
	blocks := (c.filters + 3) / 4
	size := blocks * 4 * c.channels
	points := tilePanel(size)
	panel := x.scratch(tilePoints * points)
	order := c.tapOrder()
	chunks := (size + tileChunk - 1) / tileChunk
	x.team.run(chunks, func(wk *worker, chunk int) {
		lo := chunk * tileChunk
		n := min(tileChunk, size-lo)
		taps := wk.scratch(scratchTile, 9*tileChunk)
		for e := range n {
			at := lo + e
			m, ch := at/(4*c.channels)*4+at%4, at/4%c.channels
			if m >= c.filters {
				for t := range order {
					taps[t*tileChunk+e] = 0
				}
				continue
			}
			from := m*c.weights.filter + ch*c.weights.channel
			for t, off := range order {
				taps[t*tileChunk+e] = w[from+off]
			}
		}
		x.k.winograd[winogradWeight]((n+7)/8, &panel[lo], 24*points, 4*points, 32, &taps[0], 12*tileChunk, 4*tileChunk, 32)
	})
	return panel
}
