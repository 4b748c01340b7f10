package split

import "math/bits"

// family says which rules find the starts of pieces in a window.
type family int

const (
	noFamily   family = iota
	spaceWords        // GPT2: only a space goes with the word behind it
	anyWords          // CL100K, Qwen2: any one character but a line break does
	casedWords        // O200K: the same, and words end before a capital
)

// Cut puts the ends of the next pieces of text, as many as it can, into ends and returns their number, at least one. It is Next
// again and again, but several times as fast on ASCII where ends has room for hundreds. at < len(text) is as in Next, ends is
// not empty, and p is Scanned.
func (p *Pattern) Cut(ends []int, text []byte, at int) int {
	n := 0
	dense := at // up to where what is not ASCII hides the next pieces
	var m masks
	for n < len(ends) && at < len(text) {
		if at >= dense && p.family != noFamily && len(ends)-n >= window && len(text)-at >= window {
			classify(&m, (*[window]byte)(text[at:]))
			starts := p.starts(&m, text, at)
			if starts != 0 {
				for ; starts != 0; starts &= starts - 1 {
					ends[n] = at + bits.TrailingZeros64(starts)
					n++
				}
				at = ends[n-1]
				continue
			}
			dense = at + bits.TrailingZeros64(m.high) + 1
		}
		at = p.scan(text, at)
		ends[n] = at
		n++
	}
	return n
}

// starts returns the bytes of the window text[at:at+64] at which a piece is sure to start, other than the first one, given that
// one starts there. No pattern looks behind that; what it looks at ahead, beyond the window or behind the first byte that is
// not ASCII, leaves the last starts unsure.
func (p *Pattern) starts(m *masks, text []byte, at int) uint64 {
	known := bits.TrailingZeros64(m.high)
	if known < 2 {
		return 0
	}
	sure := uint64(1)<<(known-1) - 2
	if p.family == spaceWords {
		return sure & spaceWordStarts(m, text, at)
	}
	symbol := ^(m.letter | m.digit | m.white)
	blank := m.white &^ m.newline // white space that can go with a word
	first := symbol &^ (symbol<<1 | m.space<<1)
	word := m.letter &^ (m.letter<<1 | blank<<1 | first<<1)
	digit := m.digit
	if p.digits > 1 {
		digit &^= m.digit << 1
		for next := digit; next != 0; digit |= next {
			next = next << 3 & m.digit & (m.digit << 1) & (m.digit << 2)
		}
	}

	// Line breaks behind symbols belong to them: an addition carries through each run of line breaks that begins so.
	tail := m.newline &^ (m.newline + symbol<<1&m.newline)
	white, newline := m.white&^tail, m.newline&^tail
	behind := blank & (newline << 1) // starts, unless a line break follows the blanks
	if blank&(newline>>1) != 0 {
		for b := behind; b != 0; b &= b - 1 {
			i := bits.TrailingZeros64(b)
			if end := i + bits.TrailingZeros64(^(blank >> i)); newline>>end&1 != 0 {
				behind &^= 1 << i
			}
		}
	}
	starts := first | word | digit | white&^(white<<1) | blank&^(white>>1) | behind

	if run := min(known, bits.LeadingZeros64(^white<<(window-known))); run > 0 { // whether it has a line break may show later
		sure = uint64(2)<<(known-run) - 2
	}
	if p.family == anyWords {
		for q := m.quote & first; q != 0; q &= q - 1 {
			i := bits.TrailingZeros64(q)
			if end := contractionFold(text, at+i); end > at+i {
				starts |= 1 << (end - at)
			}
		}
		return sure & starts
	}
	if slash := tail << 1 & m.slash; slash != 0 { // goes with the symbols before the line breaks
		sure &= slash&-slash - 1
	}
	starts |= m.letter &^ m.lower & (m.lower << 1)
	last := -1 // behind the last contraction; what starts there is no contraction
	for q := m.quote & (m.letter << 1); q != 0; q &= q - 1 {
		i := bits.TrailingZeros64(q)
		if end := contractionFold(text, at+i); i != last && end > at+i {
			last = end - at
			starts = starts&^(1<<last-1<<i) | 1<<last
		}
	}
	return sure & starts
}

func spaceWordStarts(m *masks, text []byte, at int) uint64 {
	symbol := ^(m.letter | m.digit | m.white)
	first := m.letter&^(m.letter<<1) | m.digit&^(m.digit<<1) | symbol&^(symbol<<1)
	first &^= m.space << 1
	starts := first | m.white&^(m.white<<1) | m.white&^(m.white>>1)
	for q := m.quote & first; q != 0; q &= q - 1 {
		i := bits.TrailingZeros64(q)
		if end := contraction(text, at+i); end > at+i {
			starts = starts&^(2<<i) | 1<<(end-at)
		}
	}
	return starts
}
