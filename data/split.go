package data

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// Split is the training or the validation part of a set.
type Split struct {
	Info   SplitInfo
	id     string
	seq    uint64 // that the plan was made for
	vocab  int
	width  uint64
	shards []shard
	path   string // of the plan
	plan   []byte // see planner; nil where there is none
	sizes  []byte // bytes that each id stands for, uint32
}

type shard struct {
	ShardInfo
	bin, idx string // files
	base     uint64 // tokens in the shards before it
	ids      []byte
	index    []byte // document boundaries, uint64, from 0
}

func newSplit(in SplitInfo, seq, vocab, width int, sizes []byte, id string) *Split {
	return &Split{Info: in, id: id, seq: uint64(seq), vocab: vocab, width: uint64(width), sizes: sizes}
}

// addShard appends a shard whose files have the lengths that n gives.
func (p *Split) addShard(bin, idx string, n ShardInfo, ids, index []byte) error {
	if uint64(len(ids)) != n.Tokens*p.width {
		return fmt.Errorf("%s: %d bytes for %d tokens", bin, len(ids), n.Tokens)
	}
	if uint64(len(index)) != 8*(n.Documents+1) || u64(index, 0) != 0 || u64(index, n.Documents) != n.Tokens {
		return fmt.Errorf("%s: %d bytes do not bound %d documents of %d tokens", idx, len(index), n.Documents, n.Tokens)
	}
	base := uint64(0)
	if k := len(p.shards); k > 0 {
		base = p.shards[k-1].base + p.shards[k-1].Tokens
	}
	p.shards = append(p.shards, shard{n, bin, idx, base, ids, index})
	return nil
}

// planSize is the length of the file of the plan.
func planSize(in SplitInfo) int64 { return int64(8*(in.Sequences+1) + pieceSize*in.Pieces) }

func (p *Split) setPlan(path string, plan []byte) error {
	if int64(len(plan)) != planSize(p.Info) || u64(plan, 0) != 0 || u64(plan, p.Info.Sequences) != p.Info.Pieces {
		return fmt.Errorf("%s: %d bytes do not hold %d sequences of %d pieces", path, len(plan), p.Info.Sequences, p.Info.Pieces)
	}
	p.path, p.plan = path, plan
	return nil
}

func u64(b []byte, i uint64) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }

// check reads all document boundaries and the whole plan.
func (p *Split) check() error {
	for i := range p.shards {
		s := &p.shards[i]
		for k := range s.Documents {
			if u64(s.index, k) >= u64(s.index, k+1) {
				return fmt.Errorf("%s: offset %d: boundary does not ascend", s.idx, 8*(k+1))
			}
		}
	}
	if p.plan == nil {
		return nil
	}
	for i := range p.Info.Sequences {
		if err := p.sequence(nil, i); err != nil {
			return err
		}
	}
	return nil
}

// sequence checks sequence i of the plan and adds it to b, unless b is nil.
func (p *Split) sequence(b *Batch, i uint64) error {
	from, to := u64(p.plan, i), u64(p.plan, i+1)
	if from > to || to > p.Info.Pieces {
		return fmt.Errorf("%s: offset %d: sequence %d is pieces %d to %d of %d", p.path, 8*i, i, from, to, p.Info.Pieces)
	}
	room := p.seq
	for k := from; k < to; k++ {
		at := 8*(p.Info.Sequences+1) + pieceSize*k
		e := p.plan[at : at+pieceSize]
		start, length, last := binary.LittleEndian.Uint64(e), uint64(binary.LittleEndian.Uint32(e[8:])), binary.LittleEndian.Uint32(e[12:])
		if start >= p.Info.Tokens || length == 0 || length > room {
			return fmt.Errorf("%s: offset %d: a piece of %d tokens from %d, with room for %d, in %d tokens", p.path, at, length, start, room, p.Info.Tokens)
		}
		s := p.shard(start)
		end, err := s.docEnd(start)
		if err != nil {
			return err
		}
		if length > end-start || last > 1 || (last == 1) != (length == end-start) {
			return fmt.Errorf("%s: offset %d: a piece of %d tokens from %d, last %d, of a document that ends at %d", p.path, at, length, start, last, end)
		}
		room -= length
		if b == nil {
			continue
		}
		if err := p.appendPiece(b, s, start, length, last == 1); err != nil {
			return err
		}
	}
	if room != 0 {
		return fmt.Errorf("%s: offset %d: sequence %d has %d tokens, not %d", p.path, 8*i, i, p.seq-room, p.seq)
	}
	return nil
}

// shard returns the shard of a token, which must be below Info.Tokens.
func (p *Split) shard(at uint64) *shard {
	return &p.shards[sort.Search(len(p.shards), func(i int) bool { return p.shards[i].base > at })-1]
}

// docEnd returns the end of the document that holds token at, both counted over all shards.
func (s *shard) docEnd(at uint64) (uint64, error) {
	at -= s.base
	k := uint64(sort.Search(int(s.Documents), func(i int) bool { return u64(s.index, uint64(i+1)) > at }))
	if k >= s.Documents || u64(s.index, k) > at || u64(s.index, k+1) > s.Tokens {
		return 0, fmt.Errorf("%s: offset %d: boundary does not ascend", s.idx, 8*min(k+1, s.Documents))
	}
	return s.base + u64(s.index, k+1), nil
}

// appendPiece adds length tokens of one document of s to b; last says that the document ends with them.
func (p *Split) appendPiece(b *Batch, s *shard, start, length uint64, last bool) error {
	at := start - s.base
	first := len(b.IDs)
	end := at + length
	if !last {
		end++ // the true next token is the last target
	}
	for i := at; i < end; i++ {
		id, err := p.token(s, i)
		if err != nil {
			return err
		}
		if i > at {
			b.Targets = append(b.Targets, id)
			b.Bytes += int(binary.LittleEndian.Uint32(p.sizes[4*id:]))
		}
		if i < at+length {
			b.IDs = append(b.IDs, id)
		}
	}
	if len(b.Targets) < first+int(length) {
		b.Targets = append(b.Targets, -1)
	}
	b.Lengths = append(b.Lengths, int(length))
	return nil
}

// token returns token i of a shard.
func (p *Split) token(s *shard, i uint64) (int32, error) {
	var id uint32
	if p.width == 2 {
		id = uint32(binary.LittleEndian.Uint16(s.ids[2*i:]))
	} else {
		id = binary.LittleEndian.Uint32(s.ids[4*i:])
	}
	if id >= uint32(p.vocab) {
		return 0, fmt.Errorf("%s: offset %d: token %d is not in the vocabulary of %d", s.bin, i*p.width, id, p.vocab)
	}
	return int32(id), nil
}

// tokens appends n tokens of one document from one on, counted over all shards.
func (p *Split) tokens(ids []int32, from, n uint64) ([]int32, error) {
	s := p.shard(from)
	for i := from - s.base; i < from-s.base+n; i++ {
		id, err := p.token(s, i)
		if err != nil {
			return ids, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}
