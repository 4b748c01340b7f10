package tokenizer

// shortWord is the longest word that is merged by scanning, in symbols.
const shortWord = 48

// word is scratch memory for merging the symbols of one piece.
type word struct {
	rank [shortWord]int32
	to   [shortWord]int32
	long longWord
}

// merge merges ids in place, always the pair of lowest rank, the leftmost of those, and returns how many are left.
func (w *word) merge(t *pairTable, ids []int32) int {
	switch {
	case len(ids) < 2:
		return len(ids)
	case len(ids) <= shortWord:
		return w.scan(t, ids)
	}
	return w.long.merge(t, ids)
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
