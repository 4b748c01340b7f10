package data

import (
	"crypto/sha256"
	"fmt"

	"github.com/plinth-ml/plinth/internal/random"
)

// Loader is a Source of one split. Each epoch is all sequences of the plan in an order computed from seed and epoch.
// It is safe for concurrent use, each goroutine with a Batch of its own.
type Loader struct {
	split *Split
	seed  uint64
	batch int
}

// Source returns the batches of batch sequences of seq tokens each; seq must be what the set was prepared for.
func (p *Split) Source(seed uint64, seq, batch int) (*Loader, error) {
	switch {
	case p.plan == nil:
		return nil, fmt.Errorf("data: the split has no packing plan; only train has one")
	case uint64(seq) != p.seq:
		return nil, fmt.Errorf("data: seq %d, but the set was prepared for %d", seq, p.seq)
	case batch < 1:
		return nil, fmt.Errorf("data: batch of %d sequences", batch)
	}
	return &Loader{p, seed, batch}, nil
}

// Fingerprint names content, order and batch shape.
func (l *Loader) Fingerprint() string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s seq %d batch %d seed %d", l.split.id, l.split.seq, l.batch, l.seed))
	return fmt.Sprintf("%x", h[:16])
}

// Fill is Source.Fill. It allocates nothing once b has room. A bad entry in a file of the set is an error that names file and offset; b then
// holds part of the batch.
func (l *Loader) Fill(b *Batch, step, from, to int) error {
	if step < 0 || from < 0 || from > to || to > l.batch {
		return fmt.Errorf("data: step %d, sequences %d to %d of a batch of %d", step, from, to, l.batch)
	}
	b.reset()
	for i := from; i < to; i++ {
		if err := l.appendSequence(b, uint64(step)*uint64(l.batch)+uint64(i)); err != nil {
			return err
		}
	}
	return nil
}

// appendSequence adds the sequence at a position of the endless row of epochs.
func (l *Loader) appendSequence(b *Batch, at uint64) error {
	n := l.split.Info.Sequences
	if err := l.split.sequence(b, random.NewPerm(n, random.NewKey(l.seed, at/n)).At(at%n)); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	return nil
}

func (b *Batch) reset() {
	b.IDs, b.Targets, b.Lengths, b.Bytes = b.IDs[:0], b.Targets[:0], b.Lengths[:0], 0
}

// Val is a split in fixed order, for evaluation.
type Val struct {
	split  *Split
	seq    uint64
	tokens uint64
}

// Val returns the split's documents in stored order, cut every seq tokens; the last sequence may be shorter.
// maxTokens bounds the tokens used; 0: all.
func (p *Split) Val(seq, maxTokens int) (*Val, error) {
	if seq < 1 || maxTokens < 0 {
		return nil, fmt.Errorf("data: seq %d, at most %d tokens", seq, maxTokens)
	}
	n := p.Info.Tokens
	if maxTokens > 0 {
		n = min(n, uint64(maxTokens))
	}
	return &Val{p, uint64(seq), n}, nil
}

// Sequences is the number of sequences.
func (v *Val) Sequences() int { return int((v.tokens + v.seq - 1) / v.seq) }

// FillAt sets b to sequences [from, to).
func (v *Val) FillAt(b *Batch, from, to int) error {
	if from < 0 || from > to || to > v.Sequences() {
		return fmt.Errorf("data: sequences %d to %d of %d", from, to, v.Sequences())
	}
	b.reset()
	for i := uint64(from); i < uint64(to); i++ {
		stop := min((i+1)*v.seq, v.tokens)
		for at := i * v.seq; at < stop; {
			s := v.split.shard(at)
			end, err := s.docEnd(at)
			if err != nil {
				return fmt.Errorf("data: %w", err)
			}
			n := min(end, stop) - at
			if err := v.split.appendPiece(b, s, at, n, at+n == end); err != nil {
				return fmt.Errorf("data: %w", err)
			}
			at += n
		}
	}
	return nil
}
