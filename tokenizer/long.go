package tokenizer

import "slices"

// longWord is scratch memory for merging a long piece. The symbols are a linked list, and so are the pairs of each rank, in the
// order of their positions. A pair is at the position of its left symbol. The next merge is the first pair of the lowest rank
// that has one; each takes constant time, but where pairs of a rank come from several merges and are sorted.
type longWord struct {
	symbols []symbol
	pairs   []rankPairs
	ranks   []int32 // heap of the ranks that have pairs, some twice, some without
	order   []int32
}

// symbol is what is known at a position, together: a long piece does not fit into the processor's caches.
type symbol struct {
	id         int32
	prev, next int32 // positions of the symbols beside it, -1 and the length at the ends
	rank       int32 // of the pair with the next one, or noRank
	up, down   int32 // places of the pairs of the same rank before and behind it
}

// rankPairs are the pairs of a rank. A place is a position plus one; 0 is none.
type rankPairs struct {
	first, last int32
	mixed       bool // not in order
}

// merge is word.merge.
func (w *longWord) merge(t *pairTable, ids []int32) int {
	w.run(t, ids)
	kept := 0
	for i := int32(0); int(i) < len(ids); i = w.symbols[i].next {
		ids[kept] = w.symbols[i].id
		kept++
	}
	w.shrink()
	return kept
}

// mergeAt merges ids in place and appends to at where the first of each that is left was.
func (w *longWord) mergeAt(t *pairTable, ids, at []int32) (kept, starts []int32) {
	w.run(t, ids)
	kept = ids[:0]
	for i := int32(0); int(i) < len(ids); i = w.symbols[i].next {
		kept, at = append(kept, w.symbols[i].id), append(at, i)
	}
	w.shrink()
	return kept, at
}

// shrink lets go of the memory of a huge piece.
func (w *longWord) shrink() {
	if cap(w.symbols) > 1<<20 {
		*w = longWord{pairs: w.pairs}
	}
}

// run merges until no pair is left.
func (w *longWord) run(t *pairTable, ids []int32) {
	if w.pairs == nil {
		w.pairs = make([]rankPairs, t.ranks) // all empty again after each piece
	}
	w.symbols = slices.Grow(w.symbols[:0], len(ids))[:len(ids)]
	for i, id := range ids {
		w.symbols[i] = symbol{id: id, prev: int32(i - 1), next: int32(i + 1), rank: noRank}
	}
	for i := range len(ids) - 1 {
		w.enter(t, int32(i))
	}
	for len(w.ranks) > 0 {
		rank := w.pop()
		p := &w.pairs[rank]
		for p.first != 0 && (len(w.ranks) == 0 || w.ranks[0] >= rank) {
			if p.mixed {
				w.sort(p)
			}
			w.mergePair(t, p.first-1)
		}
		if p.first != 0 {
			w.push(rank)
		}
	}
}

// mergePair merges the pair at a position.
func (w *longWord) mergePair(t *pairTable, at int32) {
	left := &w.symbols[at]
	right := &w.symbols[left.next]
	_, id := t.get(left.id, right.id)
	w.leave(left)
	w.leave(right)
	left.id, left.next = id, right.next
	if left.prev >= 0 {
		w.leave(&w.symbols[left.prev])
		w.enter(t, left.prev)
	}
	if int(left.next) < len(w.symbols) {
		w.symbols[left.next].prev = at
		w.enter(t, at)
	}
}

// enter files the pair at a position.
func (w *longWord) enter(t *pairTable, at int32) {
	s := &w.symbols[at]
	s.rank, _ = t.get(s.id, w.symbols[s.next].id)
	if s.rank == noRank {
		return
	}
	p := &w.pairs[s.rank]
	s.up, s.down = p.last, 0
	if p.last == 0 {
		p.first = at + 1
		w.push(s.rank)
	} else {
		w.symbols[p.last-1].down = at + 1
		p.mixed = p.mixed || p.last > at
	}
	p.last = at + 1
}

// leave takes the pair of a symbol out, if there is one.
func (w *longWord) leave(s *symbol) {
	if s.rank == noRank {
		return
	}
	p := &w.pairs[s.rank]
	if s.up == 0 {
		p.first = s.down
	} else {
		w.symbols[s.up-1].down = s.down
	}
	if s.down == 0 {
		p.last = s.up
	} else {
		w.symbols[s.down-1].up = s.up
	}
	p.mixed = p.mixed && p.first != 0
	s.rank = noRank
}

// sort puts the pairs of a rank in the order of their positions.
func (w *longWord) sort(p *rankPairs) {
	w.order = append(w.order[:0], 0)
	for i := p.first; i != 0; i = w.symbols[i-1].down {
		w.order = append(w.order, i)
	}
	slices.Sort(w.order)
	w.order = append(w.order, 0)
	for k := 1; k < len(w.order)-1; k++ {
		s := &w.symbols[w.order[k]-1]
		s.up, s.down = w.order[k-1], w.order[k+1]
	}
	*p = rankPairs{first: w.order[1], last: w.order[len(w.order)-2]}
}

func (w *longWord) push(rank int32) {
	w.ranks = append(w.ranks, rank)
	h := w.ranks
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if h[up] <= h[i] {
			break
		}
		h[up], h[i] = h[i], h[up]
		i = up
	}
}

func (w *longWord) pop() int32 {
	h := w.ranks
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	w.ranks = h
	for i := 0; ; {
		least := i
		for k := 2*i + 1; k <= 2*i+2 && k < len(h); k++ {
			if h[k] < h[least] {
				least = k
			}
		}
		if least == i {
			return top
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
