package data

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// FromTokens makes a split in memory of documents as ids below vocab, each with its EOS if it shall have one, packed into sequences
// of seq tokens as Prepare does. Its batches have Bytes 0, for ids alone do not say what text they stand for.
func FromTokens(docs [][]int32, vocab, seq int, seed uint64) (*Split, error) {
	if vocab < 1 || vocab > 1<<24 || seq < 1 {
		return nil, fmt.Errorf("data: vocab %d, seq %d", vocab, seq)
	}
	s := shard{path: "memory", index: make([]byte, 8)}
	var ends []uint64
	for i, doc := range docs {
		if len(doc) == 0 {
			return nil, fmt.Errorf("data: document %d is empty", i)
		}
		for _, id := range doc {
			if id < 0 || int(id) >= vocab {
				return nil, fmt.Errorf("data: document %d: token %d is not in the vocabulary of %d", i, id, vocab)
			}
			s.ids = binary.LittleEndian.AppendUint32(s.ids, uint32(id))
		}
		s.n += uint64(len(doc))
		s.docs++
		s.index = binary.LittleEndian.AppendUint64(s.index, s.n)
		ends = append(ends, s.n)
	}
	p := &Split{seq: seq, vocab: vocab, width: 4, shards: []shard{s}, sizes: make([]byte, 4*vocab)}
	p.Info = SplitInfo{Documents: s.docs, Tokens: s.n, Shards: []uint64{s.n}}
	p.plan, p.Info.Sequences, p.Info.Pieces = concatPlan(ends, seq, seed)
	if p.Info.Sequences == 0 {
		return nil, fmt.Errorf("data: %d tokens are fewer than one sequence of %d", s.n, seq)
	}
	h := sha256.New()
	h.Write(s.ids)
	h.Write(s.index)
	p.id = fmt.Sprintf("memory %x vocab %d seed %d", h.Sum(nil), vocab, seed)
	return p, nil
}
