package tokenizer

import "unicode/utf8"

// GPT-2 spells each byte as one printable character: itself where it is printable, else U+0100 and up in byte order.
// byteRune is by byte; runeByte by character, -1 where it stands for no byte.
var byteRune, runeByte = byteTables()

func byteTables() (runes [256]rune, back [324]int16) {
	for i := range back {
		back[i] = -1
	}
	next := rune(256)
	for b := range 256 {
		r := rune(b)
		if !('!' <= b && b <= '~' || 0xA1 <= b && b <= 0xAC || 0xAE <= b) {
			r = next
			next++
		}
		runes[b], back[r] = r, int16(b)
	}
	return runes, back
}

// alphabet returns the bytes in the order of their characters, which is the order of ids in a trained vocabulary.
func alphabet() []byte {
	var all []byte
	for _, b := range runeByte {
		if b >= 0 {
			all = append(all, byte(b))
		}
	}
	return all
}

// spell appends the characters that stand for raw.
func spell(dst []byte, raw string) []byte {
	for i := range len(raw) {
		dst = utf8.AppendRune(dst, byteRune[raw[i]])
	}
	return dst
}

// unspell returns the bytes that a token's characters stand for, or false if one stands for none.
func unspell(name string) (string, bool) {
	raw := make([]byte, 0, len(name))
	for _, r := range name {
		if r < 0 || int(r) >= len(runeByte) || runeByte[r] < 0 {
			return "", false
		}
		raw = append(raw, byte(runeByte[r]))
	}
	return string(raw), true
}
