package index

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/plinth-ml/plinth/internal/quant"
	"github.com/plinth-ml/plinth/internal/vec"
)

const (
	taskRows   = 4096    // of a worker at once
	blockRows  = 1024    // at most, and
	blockBytes = 1 << 19 // of codes that stay in the cache while all queries pass over them
)

// block is how many rows pass to the sieves at once.
func (x *Index) block() int { return max(1, min(blockRows, blockBytes/x.stride())) }

// query is a query with what is known of its answer.
type query struct {
	x      []float32
	norm   float32 // rounded up
	codes  quant.ScanQuery
	sieves []sieve // of each worker
}

// prepare checks queries.
func (x *Index) prepare(queries [][]float32, k int) ([]query, error) {
	if k < 1 {
		return nil, fmt.Errorf("index: %d hits are wanted, at least 1 is taken", k)
	}
	qs := make([]query, len(queries))
	for i, v := range queries {
		n, err := norm(v, x.Dim())
		if err == nil && x.Cosine() {
			v, err = unit(v, n)
			n = 1
		}
		if err != nil {
			return nil, fmt.Errorf("index: query %d: %w", i, err)
		}
		q := &qs[i]
		q.x, q.norm = v, float32(n*(1+1e-6))
		q.codes.Set(v)
		q.sieves = make([]sieve, x.workers().Threads())
		for w := range q.sieves {
			q.sieves[w].init(min(k, x.Len()))
		}
	}
	return qs, nil
}

// Search returns the k rows with the greatest inner product with each query, best first, of equal ones the first: exactly those, in that order,
// that comparing vec.Dot of all rows gives. Of fewer than k rows it returns all.
func (x *Index) Search(queries [][]float32, k int) ([][]Hit, error) {
	qs, err := x.prepare(queries, k)
	if err != nil {
		return nil, err
	}
	x.siftAll(qs)
	return x.finish(qs), nil
}

// siftAll passes all rows to the queries' sieves.
func (x *Index) siftAll(qs []query) {
	rows, block := x.Len(), x.block()
	x.workers().Run((rows+taskRows-1)/taskRows, func(task, worker int) {
		for at := task * taskRows; at < min(rows, (task+1)*taskRows); at += block {
			end := min(rows, (task+1)*taskRows, at+block)
			for i := range qs {
				x.sift(&qs[i], worker, at, end)
			}
		}
	})
}

// sift passes rows [from, to), at most blockRows, to a worker's sieve.
func (x *Index) sift(q *query, worker, from, to int) {
	s, sums, stride := &q.sieves[worker], x.team.sums[worker][:to-from], x.stride()
	x.kernel.Scan(sums, x.codes[from*stride:to*stride], &q.codes)
	scales, bounds, unit := x.scales[from:to], x.bounds[from:to], q.codes.Scale
	for i, sum := range sums {
		about, off := sum*unit*scales[i], q.norm*bounds[i]
		if about+off >= s.least {
			s.add(from+i, about, off)
		}
	}
}

// finish returns what is best in the sieves.
func (x *Index) finish(qs []query) [][]Hit {
	hits := make([][]Hit, len(qs))
	x.workers().Run(len(qs), func(task, _ int) {
		hits[task] = qs[task].best(x.Vector)
		for i := range hits[task] {
			hits[task][i].Key = x.Key(hits[task][i].Row)
		}
	})
	return hits
}

// best compares what the sieves hold in float32. Keys are left to the caller.
func (q *query) best(vector func(row int) []float32) []Hit {
	all := q.sieves[0]
	for i := range q.sieves[1:] {
		all.join(&q.sieves[i+1])
	}
	// By falling upper bounds: what comes after the first that does not reach the k-th score does not reach it either.
	slices.SortFunc(all.held, func(a, b held) int { return cmp.Compare(b.upper, a.upper) })
	before := func(a, b Hit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Row, b.Row))
	}
	var hits []Hit
	for _, h := range all.held {
		if len(hits) == all.k && h.upper < hits[all.k-1].Score {
			break
		}
		hit := Hit{Row: int(h.row), Score: vec.Dot(q.x, vector(int(h.row)))}
		at, _ := slices.BinarySearchFunc(hits, hit, before)
		if at == all.k {
			continue
		}
		if len(hits) == all.k {
			hits = hits[:all.k-1]
		}
		hits = slices.Insert(hits, at, hit)
	}
	return hits
}

// held is a row that may be among the best.
type held struct {
	row   uint32
	upper float32 // its score is at most
}

// sieve keeps the rows whose upper bound reaches the k-th greatest of the lower bounds seen.
type sieve struct {
	k     int
	least float32   // the k-th greatest lower bound, -Inf before there are k
	lower []float32 // the k greatest, a heap with the least first
	held  []held
	limit int // of len(held), before it is looked through again
}

func (s *sieve) init(k int) {
	s.k, s.least, s.limit = k, float32(math.Inf(-1)), 4*k+1024
}

// add takes a row whose score is within off of about. The k-th of the lower bounds is at most the k-th of the scores, so nothing below it is among
// the best; what equals it may be, by its row.
func (s *sieve) add(row int, about, off float32) {
	s.held = append(s.held, held{uint32(row), about + off})
	s.raise(about - off)
	if len(s.held) > s.limit {
		s.sweep()
		s.limit = 2*len(s.held) + 1024
	}
}

func (s *sieve) sweep() {
	s.held = slices.DeleteFunc(s.held, func(h held) bool { return h.upper < s.least })
}

// raise takes a lower bound into the heap.
func (s *sieve) raise(low float32) {
	h := s.lower
	if len(h) < s.k {
		h = append(h, low)
		for i := len(h) - 1; i > 0 && h[(i-1)/2] > h[i]; i = (i - 1) / 2 {
			h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
		}
		s.lower = h
	} else if low > h[0] {
		h[0] = low
		for i := 0; ; {
			least := i
			for c := 2*i + 1; c <= 2*i+2 && c < len(h); c++ {
				if h[c] < h[least] {
					least = c
				}
			}
			if least == i {
				break
			}
			h[i], h[least] = h[least], h[i]
			i = least
		}
	}
	if len(s.lower) == s.k && s.k > 0 {
		s.least = s.lower[0]
	}
}

// join takes what another sieve holds.
func (s *sieve) join(o *sieve) {
	for _, low := range o.lower {
		s.raise(low)
	}
	s.held = append(s.held, o.held...)
	s.sweep()
}
