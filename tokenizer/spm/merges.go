package spm

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Merges returns the pairs of pieces that together are a piece, in the order in which transformers 5 lists them when it converts a
// model to merges for BPE: by the merged piece's id, then by the length of the left one. Where texts repeat, the last one counts.
func (m *Model) Merges() []Merge {
	ids := make(map[string]int32, len(m.Pieces))
	for id, p := range m.Pieces {
		ids[p.Text] = int32(id)
	}
	var merges []Merge
	for id, p := range m.Pieces {
		if ids[p.Text] != int32(id) {
			continue
		}
		for i := range p.Text {
			if i == 0 {
				continue
			}
			left, ok := ids[p.Text[:i]]
			if !ok {
				continue
			}
			if right, ok := ids[p.Text[i:]]; ok {
				merges = append(merges, Merge{left, right, int32(id)})
			}
		}
	}
	return merges
}

// MergesByScore returns the pairs of Merges in the order of conversions that go by scores, as those of Llama's and Gemma's
// tokenizers did: the greatest score of the merged piece first, then the longest left piece, then the longest right one (in
// characters).
func (m *Model) MergesByScore() []Merge {
	merges := m.Merges()
	chars := make([]int32, len(m.Pieces))
	for id, p := range m.Pieces {
		chars[id] = int32(len([]rune(p.Text)))
	}
	slices.SortStableFunc(merges, func(a, b Merge) int {
		return cmp.Or(cmp.Compare(m.Pieces[b.Piece].Score, m.Pieces[a.Piece].Score),
			cmp.Compare(chars[b.Left], chars[a.Left]), cmp.Compare(chars[b.Right], chars[a.Right]))
	})
	return merges
}

// Ranks returns, for each piece, how many different scores are greater than its own. SentencePiece's BPE merges, as long as
// two neighbours make a piece, those that make the piece of the lowest rank, the leftmost of these.
func (m *Model) Ranks() []int32 {
	order := make([]int32, len(m.Pieces))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(m.Pieces[b].Score, m.Pieces[a].Score) })
	ranks := make([]int32, len(m.Pieces))
	for i := 1; i < len(order); i++ {
		ranks[order[i]] = ranks[order[i-1]]
		if m.Pieces[order[i]].Score != m.Pieces[order[i-1]].Score {
			ranks[order[i]]++
		}
	}
	return ranks
}

// ByteIDs returns the ids of the pieces that stand for bytes, <0x00> to <0xFF>; -1: none.
func (m *Model) ByteIDs() (ids [256]int32) {
	for b := range ids {
		ids[b] = -1
	}
	for id, p := range m.Pieces {
		if p.Type == Byte {
			if b, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(p.Text, "<0x"), ">"), 16, 8); err == nil {
				ids[b] = int32(id)
			}
		}
	}
	return ids
}
