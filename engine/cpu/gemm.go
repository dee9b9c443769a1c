package cpu

// Blocking of the matrix product: a panel of 16 columns × blockK stays in the
// first-level cache, blockM × blockK of the left operand in the second.
const (
	blockM = 192
	blockN = 1536
	blockK = 256
	tileM  = 6
	tileN  = 16
)

// matrix is a strided view: element (i, j) is at data[i·row + j·col].
type matrix struct {
	data     []float32
	row, col int
}

func (a matrix) at(i, j int) matrix { return matrix{a.data[i*a.row+j*a.col:], a.row, a.col} }

// product is c[at:] (m × n, rows ldc apart) = a·b, and what runs behind it.
type product struct {
	m, n, k int
	a, b    matrix
	c       []float32
	at, ldc int
	end     *finish
	// packed, when set, is the packAll of a matrix of columns columns, of which b is
	// those from column on, a multiple of tileN.
	packed          []float32
	column, columns int
}

// depthOf returns the depth of the blocks of a product of depth k.
func depthOf(k int) int {
	blocks := (k + blockK - 1) / blockK
	return (k + blocks - 1) / blocks
}

// wide rounds n columns up to whole panels.
func wide(n int) int { return (n + tileN - 1) / tileN * tileN }

// Operands up to smallOperands elements stay in the first-level cache.
const smallOperands = 6 << 10

// product computes q on one worker. Operands whose rows are consecutive, or that are
// small, are read where they lie when packing them would not pay.
func (k *kernels) product(w *worker, q *product) {
	depth := depthOf(q.k)
	directA := q.a.col == 1 || q.m*q.k <= smallOperands
	directB := q.packed == nil && q.b.col == 1 && (q.m <= tileM || q.k*q.n <= smallOperands)
	var pa, pb []float32
	if q.packed == nil && !directB {
		pb = w.scratch(scratchPanelB, wide(min(q.n, blockN))*depth)
	}
	if !directA {
		pa = w.scratch(scratchPanelA, (min(q.m, blockM)+tileM-1)/tileM*tileM*depth)
	}
	tile := w.scratch(scratchTile, tileM*tileN)
	c := q.c[q.at:]
	for j0 := 0; j0 < q.n; j0 += blockN {
		jn := min(blockN, q.n-j0)
		for k0 := 0; k0 < q.k; k0 += depth {
			kn := min(depth, q.k-k0)
			switch {
			case directB:
			case q.packed != nil:
				pb = q.packed[k0*wide(q.columns)+(q.column+j0)*kn:]
			default:
				k.packB(pb, q.b.at(k0, j0), kn, jn)
			}
			for i0 := 0; i0 < q.m; i0 += blockM {
				in := min(blockM, q.m-i0)
				if !directA {
					k.packA(pa, q.a.at(i0, k0), in, kn)
				}
				for j := 0; j < jn; j += tileN {
					cols := min(tileN, jn-j)
					var bp *float32
					kb := 4 * tileN
					if directB {
						bp, kb = &q.b.data[k0*q.b.row+j0+j], 4*q.b.row
					} else {
						bp = &pb[j*kn]
					}
					for i := 0; i < in; i += tileM {
						rows := min(tileM, in-i)
						var ap *float32
						ra, ka := 4, 4*rows
						if directA {
							ap, ra, ka = &q.a.data[(i0+i)*q.a.row+k0*q.a.col], 4*q.a.row, 4*q.a.col
						} else {
							ap = &pa[i*kn]
						}
						to := c[(i0+i)*q.ldc+j0+j:]
						if cols == tileN {
							k.gemm[rows](kn, ap, ra, ka, bp, kb, &to[0], q.ldc, k0 > 0)
							continue
						}
						k.gemm[rows](kn, ap, ra, ka, bp, kb, &tile[0], tileN, false)
						for r := range rows {
							d := to[r*q.ldc:][:cols]
							for t, v := range tile[r*tileN:][:cols] {
								if k0 > 0 {
									v += d[t]
								}
								d[t] = v
							}
						}
					}
				}
				switch {
				case q.end == nil || k0+kn < q.k:
				case jn == q.ldc:
					q.end.apply(q.at+i0*q.ldc, in*q.ldc)
				default:
					for i := i0; i < i0+in; i++ {
						q.end.apply(q.at+i*q.ldc+j0, jn)
					}
				}
			}
		}
	}
}

// packAll lays all rows and columns of b out as the blocks of a product read them.
func (k *kernels) packAll(b matrix, rows, n int) []float32 {
	out := cast[float32](allocate(4 * wide(n) * rows))
	k.packColumns(out, b, rows, n, 0, n)
	return out
}

// packColumns fills in columns [lo, hi) of out, the packAll of a matrix of n columns;
// lo is a multiple of tileN.
func (k *kernels) packColumns(out []float32, b matrix, rows, n, lo, hi int) {
	depth := depthOf(rows)
	for r := 0; r < rows; r += depth {
		kn := min(depth, rows-r)
		k.packB(out[r*wide(n)+lo*kn:], b.at(r, lo), kn, hi-lo)
	}
}

// packB lays k rows and n columns of b out as panels of 16 columns, zero beyond the last.
func (k *kernels) packB(dst []float32, b matrix, rows, n int) {
	for j := 0; j < n; j += tileN {
		p := dst[j*rows:][:tileN*rows]
		cols := min(tileN, n-j)
		src := b.data[j*b.col:]
		done := 0
		switch {
		case b.col == 1 && cols == tileN:
			k.copyRows[2](rows, &p[0], 4*tileN, &src[0], 4*b.row)
			continue
		case b.row == 1 && cols == tileN && rows >= 8:
			done = rows &^ 7
			k.transpose8(rows/8, &p[0], 4*tileN, &src[0], 4*b.col)
			k.transpose8(rows/8, &p[8], 4*tileN, &src[8*b.col], 4*b.col)
		}
		for r := done; r < rows; r++ {
			d := p[r*tileN:][:tileN]
			for q := range cols {
				d[q] = src[r*b.row+q*b.col]
			}
			clear(d[cols:])
		}
	}
}

// packA lays m rows and n columns of a out as panels of 6 rows; the last panel has the
// rest. It may write a vector beyond.
func (k *kernels) packA(dst []float32, a matrix, m, n int) {
	for i := 0; i < m; i += tileM {
		rows := min(tileM, m-i)
		p := dst[i*n:][:rows*n]
		src := a.data[i*a.row:]
		if rows == tileM && a.col == 1 {
			r0, r1, r2 := src[:n], src[a.row:][:n], src[2*a.row:][:n]
			r3, r4, r5 := src[3*a.row:][:n], src[4*a.row:][:n], src[5*a.row:][:n]
			for q := range n {
				d := (*[tileM]float32)(p[q*tileM:])
				d[0], d[1], d[2], d[3], d[4], d[5] = r0[q], r1[q], r2[q], r3[q], r4[q], r5[q]
			}
			continue
		}
		if rows == tileM && a.row == 1 {
			k.copyRows[1](n, &p[0], 4*tileM, &src[0], 4*a.col)
			continue
		}
		for q := range n {
			for r := range rows {
				p[q*rows+r] = src[r*a.row+q*a.col]
			}
		}
	}
}
