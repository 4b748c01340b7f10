package tokenizer

// shortWord is the longest word that is merged by scanning, in symbols.
const shortWord = 48

// word is scratch memory for merging the symbols of one piece.
type word struct {
	rank [shortWord]int32
	to   [shortWord]int32
	prev []int32
	next []int32
	heap []uint64 // rank<<32 | position of a pair that may merge: lowest rank first, then leftmost
}

// merge merges ids in place, always the pair of lowest rank, the leftmost of those, and returns how many are left.
func (w *word) merge(t *pairTable, ids []int32) int {
	switch {
	case len(ids) < 2:
		return len(ids)
	case len(ids) <= shortWord:
		return w.scan(t, ids)
	}
	return w.long(t, ids)
}

// scan looks through all ranks for each merge.
func (w *word) scan(t *pairTable, ids []int32) int {
	n := len(ids)
	rank, to := w.rank[:n], w.to[:n]
	for i := range n - 1 {
		rank[i], to[i] = t.get(ids[i], ids[i+1])
	}
	rank[n-1] = noRank
	for n > 1 {
		at, best := 0, rank[0]
		for i, r := range rank[1 : n-1] {
			if r < best {
				at, best = i+1, r
			}
		}
		if best == noRank {
			break
		}
		ids[at] = to[at]
		copy(ids[at+1:n-1], ids[at+2:n])
		copy(rank[at+1:n-1], rank[at+2:n])
		copy(to[at+1:n-1], to[at+2:n])
		n--
		rank[n-1] = noRank
		if at+1 < n {
			rank[at], to[at] = t.get(ids[at], ids[at+1])
		}
		if at > 0 {
			rank[at-1], to[at-1] = t.get(ids[at-1], ids[at])
		}
	}
	return n
}

// long keeps the candidates in a heap over a linked list: n log n.
func (w *word) long(t *pairTable, ids []int32) int {
	n := len(ids)
	w.prev, w.next, w.heap = resize(w.prev, n), resize(w.next, n), w.heap[:0]
	for i := range n {
		w.prev[i], w.next[i] = int32(i-1), int32(i+1)
		if i+1 < n {
			if rank, _ := t.get(ids[i], ids[i+1]); rank != noRank {
				w.heap = append(w.heap, uint64(rank)<<32|uint64(i))
			}
		}
	}
	for i := len(w.heap) / 4; i >= 0; i-- {
		w.down(i)
	}
	for len(w.heap) > 0 {
		c := w.heap[0]
		last := len(w.heap) - 1
		w.heap[0] = w.heap[last]
		w.heap = w.heap[:last]
		w.down(0)
		at := int32(uint32(c))
		if ids[at] < 0 || w.next[at] >= int32(n) {
			continue
		}
		right := w.next[at]
		rank, id := t.get(ids[at], ids[right])
		if rank != int32(c>>32) { // entered for what has merged since
			continue
		}
		ids[at], ids[right] = id, -1
		w.next[at] = w.next[right]
		if w.next[at] < int32(n) {
			w.prev[w.next[at]] = at
			w.enter(t, ids, at, w.next[at])
		}
		if w.prev[at] >= 0 {
			w.enter(t, ids, w.prev[at], at)
		}
	}
	if cap(w.prev) > 1<<20 { // one huge piece should not hold memory for ever
		w.prev, w.next, w.heap = nil, nil, nil
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

func (w *word) enter(t *pairTable, ids []int32, left, right int32) {
	rank, _ := t.get(ids[left], ids[right])
	if rank == noRank {
		return
	}
	w.heap = append(w.heap, uint64(rank)<<32|uint64(left))
	for i := len(w.heap) - 1; i > 0; {
		up := (i - 1) / 4
		if w.heap[up] <= w.heap[i] {
			break
		}
		w.heap[up], w.heap[i] = w.heap[i], w.heap[up]
		i = up
	}
}

// down restores the four-way heap below i.
func (w *word) down(i int) {
	h := w.heap
	for {
		least := i
		for k := 4*i + 1; k <= 4*i+4 && k < len(h); k++ {
			if h[k] < h[least] {
				least = k
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

func resize(s []int32, n int) []int32 {
	if cap(s) < n {
		return make([]int32, n)
	}
	return s[:n]
}
