package tokenizer

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/tokenizer/split"
	"golang.org/x/sync/errgroup"
)

// counted is a distinct piece of the training text.
type counted struct {
	piece string
	count int64
}

// batch is some documents, copied: data up to ends[0], from there to ends[1], and so on.
type batch struct {
	data []byte
	ends []int
}

const (
	batchSize = 256 << 10 // bytes
	cutRoom   = 512       // pieces cut at once
)

// A cutter calls add for each piece of a document.
type cutter func(doc []byte, add func(piece []byte)) error

// countPieces counts the pieces of all documents on several threads, each with a cutter of its own. The result is sorted by piece.
func countPieces(ctx context.Context, docs iter.Seq[[]byte], newCutter func() cutter, threads int) ([]counted, error) {
	g, ctx := errgroup.WithContext(ctx)
	batches := make(chan *batch, threads)
	g.Go(func() error {
		defer close(batches)
		return sendBatches(ctx, docs, batches)
	})
	counts := make([]map[string]*int64, threads)
	for i := range counts {
		counts[i] = map[string]*int64{}
		g.Go(func() error {
			cut := newCutter()
			add := func(piece []byte) {
				if n := counts[i][string(piece)]; n != nil {
					*n++
					return
				}
				one := int64(1)
				counts[i][string(piece)] = &one
			}
			for b := range batches {
				from := 0
				for _, end := range b.ends {
					if err := cut(b.data[from:end], add); err != nil {
						return err
					}
					from = end
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	total := counts[0]
	for _, m := range counts[1:] {
		for piece, n := range m {
			if sum := total[piece]; sum != nil {
				*sum += *n
			} else {
				total[piece] = n
			}
		}
	}
	words := make([]counted, 0, len(total))
	for piece, n := range total {
		words = append(words, counted{piece, *n})
	}
	slices.SortFunc(words, func(a, b counted) int { return strings.Compare(a.piece, b.piece) })
	return words, nil
}

func sendBatches(ctx context.Context, docs iter.Seq[[]byte], to chan<- *batch) error {
	b := &batch{}
	send := func() error {
		select {
		case to <- b:
			b = &batch{}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for doc := range docs {
		b.data = append(b.data, doc...)
		b.ends = append(b.ends, len(b.data))
		if len(b.data) >= batchSize || len(b.ends) >= batchSize/8 {
			if err := send(); err != nil {
				return err
			}
		}
	}
	return send()
}

// cutBy returns cutters by a pattern.
func cutBy(p *split.Pattern) func() cutter {
	return func() cutter {
		var ends []int // scratch
		return func(doc []byte, add func([]byte)) error {
			at := 0
			if p.Scanned() {
				ends = slices.Grow(ends[:0], cutRoom)[:cutRoom]
				for at < len(doc) {
					for _, end := range ends[:p.Cut(ends, doc, at)] {
						add(doc[at:end])
						at = end
					}
				}
				return nil
			}
			var err error
			ends, err = p.Ends(ends[:0], doc)
			for _, end := range ends {
				add(doc[at:end])
				at = end
			}
			return err
		}
	}
}
