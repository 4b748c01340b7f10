package tokenizer

// specials is how many tokens the post-processor adds to n texts.
func (t *Tokenizer) specials(n int, o EncodeOptions) int {
	if t.post == nil || !o.AddSpecial {
		return 0
	}
	es := make([]*Encoding, n)
	for i := range es {
		es[i] = &Encoding{}
	}
	return len(join(t.post.process(es, true)...).IDs)
}

// truncate cuts the ends of one or two encodings so that room tokens are left, and returns how many went.
func truncate(es []*Encoding, room int) (cut int) {
	total := 0
	for _, e := range es {
		total += len(e.IDs)
	}
	if total <= room {
		return 0
	}
	keep := []int{room}
	if len(es) == 2 {
		short := min(len(es[0].IDs), len(es[1].IDs))
		long := max(short, room-short) // the shorter stays whole where both can have as much
		if short+long > room {
			short = room / 2
			long = short + room%2
		}
		keep = []int{short, long}
		if len(es[0].IDs) > len(es[1].IDs) {
			keep = []int{long, short}
		}
	}
	for i, e := range es {
		n := min(keep[i], len(e.IDs))
		e.IDs, e.Tokens, e.Offsets = e.IDs[:n], e.Tokens[:n], e.Offsets[:n]
		e.Texts, e.TypeIDs, e.Special = e.Texts[:n], e.TypeIDs[:n], e.Special[:n]
		total -= n
	}
	return total
}
