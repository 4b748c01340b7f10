package tokenizer

import "slices"

// longWord is scratch memory for merging a long piece. The symbols are a linked list, and so are the pairs of each rank, in the
// order of their positions. A pair is at the position of its left symbol. The next merge is the first pair of the lowest rank
// that has one; each takes constant time, but where pairs of a rank come from several merges and are sorted.
type longWord struct {
	prev, next []int32 // symbols beside the one at a position, -1 and the length at the ends
	rank       []int32 // of the pair at a position, or noRank
	up, down   []int32 // places of the pairs of the same rank before and behind it
	pairs      []rankPairs
	ranks      []int32 // heap of the ranks that have pairs, some twice, some without
	order      []int32
}

// rankPairs are the pairs of a rank. A place is a position plus one; 0 is none.
type rankPairs struct {
	first, last int32
	mixed       bool // not in order
}

// merge is word.merge.
func (w *longWord) merge(t *pairTable, ids []int32) int {
	n := len(ids)
	for _, s := range []*[]int32{&w.prev, &w.next, &w.rank, &w.up, &w.down} {
		*s = slices.Grow((*s)[:0], n)[:n]
	}
	if w.pairs == nil {
		w.pairs = make([]rankPairs, t.ranks) // all empty again after each piece
	}
	for i := range n {
		w.prev[i], w.next[i] = int32(i-1), int32(i+1)
	}
	w.rank[n-1] = noRank
	for i := range n - 1 {
		w.enter(t, ids, int32(i))
	}
	for len(w.ranks) > 0 {
		rank := w.pop()
		p := &w.pairs[rank]
		for p.first != 0 && (len(w.ranks) == 0 || w.ranks[0] >= rank) {
			if p.mixed {
				w.sort(p)
			}
			w.mergePair(t, ids, p.first-1)
		}
		if p.first != 0 {
			w.push(rank)
		}
	}
	if cap(w.prev) > 1<<20 { // one huge piece should not hold memory for ever
		*w = longWord{pairs: w.pairs}
	}
	kept := 0
	for _, id := range ids {
		if id >= 0 {
			ids[kept] = id
			kept++
		}
	}
	return kept
}

// mergePair merges the pair at a position.
func (w *longWord) mergePair(t *pairTable, ids []int32, at int32) {
	right := w.next[at]
	_, id := t.get(ids[at], ids[right])
	w.leave(at)
	w.leave(right)
	ids[at], ids[right] = id, -1
	before, behind := w.prev[at], w.next[right]
	w.next[at] = behind
	if before >= 0 {
		w.leave(before)
		w.enter(t, ids, before)
	}
	if int(behind) < len(ids) {
		w.prev[behind] = at
		w.enter(t, ids, at)
	}
}

// enter files the pair at a position.
func (w *longWord) enter(t *pairTable, ids []int32, at int32) {
	rank, _ := t.get(ids[at], ids[w.next[at]])
	w.rank[at] = rank
	if rank == noRank {
		return
	}
	p := &w.pairs[rank]
	w.up[at], w.down[at] = p.last, 0
	if p.last == 0 {
		p.first = at + 1
		w.push(rank)
	} else {
		w.down[p.last-1] = at + 1
		p.mixed = p.mixed || p.last > at
	}
	p.last = at + 1
}

// leave takes the pair at a position out, if there is one.
func (w *longWord) leave(at int32) {
	if w.rank[at] == noRank {
		return
	}
	p, up, down := &w.pairs[w.rank[at]], w.up[at], w.down[at]
	if up == 0 {
		p.first = down
	} else {
		w.down[up-1] = down
	}
	if down == 0 {
		p.last = up
	} else {
		w.up[down-1] = up
	}
	if p.first == 0 {
		p.mixed = false
	}
	w.rank[at] = noRank
}

// sort puts the pairs of a rank in the order of their positions.
func (w *longWord) sort(p *rankPairs) {
	w.order = w.order[:0]
	for i := p.first; i != 0; i = w.down[i-1] {
		w.order = append(w.order, i)
	}
	slices.Sort(w.order)
	p.first, p.last, p.mixed = w.order[0], w.order[len(w.order)-1], false
	up := int32(0)
	for i, place := range w.order {
		w.up[place-1], w.down[place-1] = up, 0
		if i+1 < len(w.order) {
			w.down[place-1] = w.order[i+1]
		}
		up = place
	}
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
