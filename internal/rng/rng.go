// Package rng hands out named random streams.
//
// Every random decision of entangle draws from a stream named after its
// purpose, so adding a draw in one place moves no other place:
//
//	shuffle := rng.New(seed, "data/shuffle")
//	alpha := rng.New(seed, "search/dirichlet")
//
// A stream's position can be stored and restored (State, Restore): resumed runs
// continue bit for bit.
package rng

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Stream is a seeded generator; it is not safe for concurrent use.
type Stream struct {
	*rand.Rand
	src *rand.PCG
}

// New returns the stream of that name under seed.
func New(seed uint64, name string) *Stream {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], seed)
	h := sha256.Sum256(append(b[:], name...))
	src := rand.NewPCG(binary.LittleEndian.Uint64(h[:]), binary.LittleEndian.Uint64(h[8:]))
	return &Stream{rand.New(src), src}
}

// State returns the position of the stream.
func (s *Stream) State() []byte {
	b, err := s.src.MarshalBinary()
	if err != nil {
		panic("BUG: rng: " + err.Error())
	}
	return b
}

// Restore moves the stream to a position returned by State.
func (s *Stream) Restore(state []byte) error { return s.src.UnmarshalBinary(state) }
