package data

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/plinth-ml/plinth/internal/random"
)

// Part is one component of a mixture.
type Part struct {
	Split  *Split
	Weight float64 // share of the sequences, relative to the other parts
}

// block is the number of sequences after which a mixture's shares are exact.
const block = 1000

// Mixture is a Source that draws sequences from several splits. Every 1000 sequences hold round(1000 x share) of each part, in an order
// computed from seed and block, so that a part's own position follows from the step alone.
type Mixture struct {
	parts []*Loader
	first []uint64 // [parts+1] quotas, summed
	seed  uint64
	batch int
}

// NewMixture mixes parts, all packed for seq. A share that rounds to none of 1000 is an error.
func NewMixture(parts []Part, seed uint64, seq, batch int) (*Mixture, error) {
	total := 0.0
	for i, p := range parts {
		if !(p.Weight > 0 && p.Weight < 1e12) {
			return nil, fmt.Errorf("data: mixture part %d: weight %v is not positive", i, p.Weight)
		}
		total += p.Weight
	}
	if len(parts) == 0 {
		return nil, errors.New("data: mixture of nothing")
	}
	m := &Mixture{first: []uint64{0}, seed: seed, batch: batch}
	sum := 0.0
	for i, p := range parts {
		l, err := p.Split.Source(random.NewKey(seed, uint64(i)).Named("mixture").Uint64(0), seq, batch)
		if err != nil {
			return nil, fmt.Errorf("data: mixture part %d: %w", i, err)
		}
		sum += p.Weight
		next := uint64(sum/total*block + 0.5)
		if next == m.first[i] {
			return nil, fmt.Errorf("data: mixture part %d: share %v is below 1/%d", i, p.Weight/total, block)
		}
		m.parts, m.first = append(m.parts, l), append(m.first, next)
	}
	return m, nil
}

// Fingerprint names the parts, their shares and the order.
func (m *Mixture) Fingerprint() string {
	s := fmt.Appendf(nil, "mixture %v seed %d batch %d", m.first, m.seed, m.batch)
	for _, p := range m.parts {
		s = append(s, p.Fingerprint()...)
	}
	h := sha256.Sum256(s)
	return fmt.Sprintf("%x", h[:16])
}

// pick returns the part of the sequence at a position and the position within that part.
func (m *Mixture) pick(at uint64) (part int, own uint64) {
	x := random.NewPerm(block, random.NewKey(m.seed, at/block)).At(at % block)
	for x >= m.first[part+1] {
		part++
	}
	return part, at/block*(m.first[part+1]-m.first[part]) + x - m.first[part]
}

// Fill is Source.Fill.
func (m *Mixture) Fill(b *Batch, step, from, to int) error {
	if step < 0 || from < 0 || from > to || to > m.batch {
		return fmt.Errorf("data: step %d, sequences %d to %d of a batch of %d", step, from, to, m.batch)
	}
	b.reset()
	for i := from; i < to; i++ {
		part, own := m.pick(uint64(step)*uint64(m.batch) + uint64(i))
		if err := m.parts[part].appendSequence(b, own); err != nil {
			return err
		}
	}
	return nil
}
