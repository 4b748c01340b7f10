package tokenizer

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

const (
	cacheBits = 16 // sets of the piece cache
	cacheWays = 2  // slots of a set, which is one line of the processor's cache
	cacheKey  = 15 // longest piece that is cached, bytes
	cacheIDs  = 4  // most ids of one
)

// slot is a piece and its ids. lo and hi are the bytes and, in the top byte of hi, their number and above it that of the ids.
type slot struct {
	lo, hi uint64
	ids    [cacheIDs]int32
}

func (s *slot) n() int { return int(s.hi >> 60) }

// cache maps short pieces to short results.
type cache [1 << cacheBits][cacheWays]slot

// packWide returns the first n bytes of p, at most 15, and n in the top byte.
func packWide(p *[16]byte, n int) (lo, hi uint64) {
	m := &keep[n&15]
	return binary.LittleEndian.Uint64(p[:]) & m[0], binary.LittleEndian.Uint64(p[8:])&m[1] | uint64(n)<<56
}

// keep has the first bytes of sixteen set, by their number.
var keep = func() (m [16][2]uint64) {
	for n := range m {
		m[n] = [2]uint64{1<<(8*min(n, 8)) - 1, 1<<(8*max(n-8, 0)) - 1}
	}
	return m
}()

func cacheSet(lo, hi uint64) uint64 {
	a, b := bits.Mul64(lo^0x9E3779B97F4A7C15, hi^0xC2B2AE3D27D4EB4F)
	return (a ^ b) & (1<<cacheBits - 1)
}

// find returns the slot that holds the piece if one does: the second of its set, or else the first. That is no branch, which
// could not be predicted.
func (c *cache) find(lo, hi uint64) *slot {
	set := &c[cacheSet(lo, hi)]
	way := 0
	if set[1].holds(lo, hi) {
		way = 1
	}
	return &set[way]
}

func (s *slot) holds(lo, hi uint64) bool { return s.lo^lo|(s.hi^hi)<<4 == 0 }

// enter adds a piece that find does not find.
func (c *cache) enter(lo, hi uint64, ids []int32) {
	set := &c[cacheSet(lo, hi)]
	set[1] = set[0]
	set[0] = slot{lo: lo, hi: hi | uint64(len(ids))<<60}
	copy(set[0].ids[:], ids)
}

// run puts the ids of the pieces text[at:ends[0]], text[ends[0]:ends[1]], ... into ids up to the first one that the cache lacks,
// that is long, or that is at the end of text or of ids. It returns how many pieces and ids these are.
func (c *cache) run(ids []int32, text []byte, at int, ends []int) (pieces, n int) {
	for i, end := range ends {
		if end-at > cacheKey || len(text)-at < 16 || len(ids)-n < cacheIDs {
			return i, n
		}
		lo, hi := packWide((*[16]byte)(text[at:]), end-at)
		s := c.find(lo, hi)
		if !s.holds(lo, hi) {
			return i, n
		}
		*(*[cacheIDs]int32)(ids[n:]) = s.ids // whatever their number: no branch to predict
		n += s.n()
		at = end
	}
	return len(ends), n
}

// seed returns a cache that holds the tokens of the vocabulary as pieces, made once.
func (t *Tokenizer) seed() *cache {
	t.seedOnce.Do(func() {
		c := new(cache)
		e := &Encoder{t: t, cache: c}
		var ids []int32
		for id, raw := range slices.Backward(t.raw) { // the early ones are the frequent ones
			if !t.listed[id] || len(raw) == 0 || len(raw) > cacheKey {
				continue
			}
			ids = e.piece(ids[:0], []byte(raw))
		}
		t.seeded = c
	})
	return t.seeded
}

func (c *cache) clone() *cache {
	d := new(cache)
	*d = *c
	return d
}
