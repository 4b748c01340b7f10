package tokenizer

import "math/bits"

// merge says what a pair of neighbours becomes, and how early.
type merge struct {
	key  uint64 // pairKey; noPair in an empty slot
	rank int32
	id   int32
}

const noPair = ^uint64(0)

func pairKey(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }

// pairTable maps pairs of ids to merges: a hash table with linear probing, at most half full.
type pairTable struct {
	slots []merge
	shift uint
	ranks int32 // all are below
}

func newPairTable(n int) *pairTable {
	size := uint(bits.Len(uint(2*n + 1)))
	t := &pairTable{slots: make([]merge, 1<<size), shift: 64 - size}
	for i := range t.slots {
		t.slots[i].key = noPair
	}
	return t
}

// slot returns where key is, or the empty slot where it belongs.
func (t *pairTable) slot(key uint64) *merge {
	for i := key * 0x9E3779B97F4A7C15 >> t.shift; ; i = (i + 1) & uint64(len(t.slots)-1) {
		if s := &t.slots[i]; s.key == key || s.key == noPair {
			return s
		}
	}
}

// put enters a merge; the last one of a pair holds, as in Hugging Face tokenizers.
func (t *pairTable) put(a, b, rank, id int32) {
	t.ranks = max(t.ranks, rank+1)
	*t.slot(pairKey(a, b)) = merge{pairKey(a, b), rank, id}
}

// get returns the rank of a pair and what it becomes; noRank if it does not merge.
func (t *pairTable) get(a, b int32) (rank, id int32) {
	s := t.slot(pairKey(a, b))
	if s.key == noPair {
		return noRank, 0
	}
	return s.rank, s.id
}

const noRank = 1<<31 - 1
