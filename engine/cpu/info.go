package cpu

import (
	"slices"

	"github.com/entangle-nas/entangle/engine/prim"
)

// Info says what a backend chose on this machine.
type Info struct {
	// Kernels is "avx2" or "portable".
	Kernels string `json:"kernels"`
	Threads int    `json:"threads"`
	// Tile is the block of a matrix product that stays in registers: rows, columns.
	Tile [2]int `json:"tile"`
	// Block is the block that stays in the caches: rows, columns and depth.
	Block [3]int `json:"block"`
	// Vector names the functions that run on whole vectors; others go one element at a time.
	Vector []string `json:"vector"`
}

// Info describes the backend.
func (b *Backend) Info() Info {
	i := Info{Kernels: b.kernels.name, Threads: b.opt.Threads, Tile: [2]int{tileM, tileN}, Block: [3]int{blockM, blockN, blockK}}
	var codes []prim.Code
	for c := range b.kernels.unary {
		codes = append(codes, c)
	}
	for c := range b.kernels.binary {
		codes = append(codes, c)
	}
	slices.Sort(codes)
	for _, c := range codes {
		i.Vector = append(i.Vector, c.String())
	}
	return i
}
