package charsmap

import (
	"slices"
	"unicode/utf8"
)

// class is what the boundaries of extended grapheme clusters depend on (Unicode Standard Annex 29).
type class uint8

const (
	other class = iota
	carriageReturn
	lineFeed
	control
	hangulL
	hangulV
	hangulT
	hangulLV
	hangulLVT
	extend
	spacingMark
	prepend
	regional
	pictographic
	joiner // zero width joiner
	consonant
	conjunctExtend // an extend that may stand between consonants that join
	linker         // an extend that joins consonants
)

func classOf(r rune) class {
	switch {
	case ' ' <= r && r < 0x7f:
		return other
	case 0xac00 <= r && r < 0xd7a4:
		if (r-0xac00)%28 == 0 {
			return hangulLV
		}
		return hangulLVT
	}
	i, _ := slices.BinarySearchFunc(clusterRanges[:], r, func(e uint64, r rune) int { return int(e>>8&0xffffff) - int(r) })
	if i < len(clusterRanges) && rune(clusterRanges[i]>>32) <= r {
		return class(clusterRanges[i])
	}
	return other
}

// clusterEnd returns the bytes of the first extended grapheme cluster of text, which is not empty.
func clusterEnd(text string) int {
	r, end := utf8.DecodeRuneInString(text)
	before := classOf(r)
	flags := before == regional // an odd number of regional indicators so far
	emoji := before == pictographic
	joins := before == consonant // a consonant, then only what may stand between it and the next
	linked := false              // with a linker among it
	for end < len(text) {
		if text[end] < 0x7f && text[end] >= ' ' && before != prepend {
			break
		}
		r, n := utf8.DecodeRuneInString(text[end:])
		c := classOf(r)
		if breaks(before, c, flags, emoji, joins && linked) {
			break
		}
		extends := c == extend || c == conjunctExtend || c == linker
		emoji = c == pictographic || emoji && (extends || c == joiner)
		flags = c == regional && !flags
		linked = linked && c != consonant || c == linker
		joins = c == consonant || joins && (c == conjunctExtend || c == linker || c == joiner)
		before, end = c, end+n
	}
	return end
}

// breaks says whether there is a boundary between two characters: rules GB3 to GB999.
func breaks(a, b class, flags, emoji, joins bool) bool {
	switch {
	case a == carriageReturn && b == lineFeed:
		return false
	case a == control || a == carriageReturn || a == lineFeed || b == control || b == carriageReturn || b == lineFeed:
		return true
	case a == hangulL && (b == hangulL || b == hangulV || b == hangulLV || b == hangulLVT),
		(a == hangulLV || a == hangulV) && (b == hangulV || b == hangulT),
		(a == hangulLVT || a == hangulT) && b == hangulT:
		return false
	case b == extend || b == conjunctExtend || b == linker || b == joiner || b == spacingMark || a == prepend:
		return false
	case b == consonant:
		return !joins
	case b == pictographic:
		return a != joiner || !emoji
	case b == regional:
		return !flags
	}
	return true
}
