package data

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// FromTokens makes a split in memory of documents as ids below vocab, each with its EOS if it shall have one, packed into sequences
// of seq tokens as Prepare does by Concat. Its batches have Bytes 0, for ids alone do not say what text they stand for.
func FromTokens(docs [][]int32, vocab, seq int, seed uint64) (*Split, error) {
	return fromTokens(docs, vocab, seq, seed, Concat)
}

// FromTokensBestFit is FromTokens packed by BestFit.
func FromTokensBestFit(docs [][]int32, vocab, seq int, seed uint64) (*Split, error) {
	return fromTokens(docs, vocab, seq, seed, BestFit)
}

func fromTokens(docs [][]int32, vocab, seq int, seed uint64, pack string) (*Split, error) {
	if vocab < 1 || vocab > maxVocab || seq < 1 || seq > maxSeq {
		return nil, fmt.Errorf("data: vocab %d, seq %d", vocab, seq)
	}
	var n ShardInfo
	var ids []byte
	index := make([]byte, 8)
	var bounds []uint64
	for i, doc := range docs {
		if len(doc) == 0 {
			return nil, fmt.Errorf("data: document %d is empty", i)
		}
		for _, id := range doc {
			if id < 0 || int(id) >= vocab {
				return nil, fmt.Errorf("data: document %d: token %d is not in the vocabulary of %d", i, id, vocab)
			}
			ids = binary.LittleEndian.AppendUint32(ids, uint32(id))
		}
		n.Documents++
		n.Tokens += uint64(len(doc))
		index = binary.LittleEndian.AppendUint64(index, n.Tokens)
		bounds = append(bounds, n.Tokens)
	}
	in := SplitInfo{Documents: n.Documents, Tokens: n.Tokens, Shards: []ShardInfo{n}}
	plan, err := makePlan(bounds, seq, seed, pack, &in)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if in.Sequences == 0 {
		return nil, fmt.Errorf("data: %d tokens are fewer than one sequence of %d", n.Tokens, seq)
	}
	h := sha256.New()
	h.Write(ids)
	h.Write(index)
	p := newSplit(in, seq, vocab, 4, make([]byte, 4*vocab), fmt.Sprintf("memory %x vocab %d seed %d %s", h.Sum(nil), vocab, seed, pack))
	if err := errors.Join(p.addShard("memory", "memory", n, ids, index), p.setPlan("memory", plan)); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	return p, nil
}
