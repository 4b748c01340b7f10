package split

import "encoding/binary"

// window is the number of bytes that are classified at once.
const window = 64

// masks says what the bytes of a window are: bit i belongs to byte i. Bytes from 0x80 on are in high alone.
type masks struct {
	letter, lower         uint64 // A-Z a-z, a-z
	digit                 uint64 // 0-9
	white, space, newline uint64 // \t \n \v \f \r and ' '; ' '; \r \n
	quote, slash          uint64 // ' and /
	high                  uint64
}

// classifyGo fills m from eight bytes at a time.
func classifyGo(m *masks, text *[window]byte) {
	*m = masks{}
	for i := 0; i < window; i += 8 {
		w := binary.LittleEndian.Uint64(text[i:])
		letter := asciiLetters(w)
		space, newline := between(w, ' ', ' '), between(w, '\n', '\n')|between(w, '\r', '\r')
		m.letter |= gather(letter) << i
		m.lower |= gather(letter&(w<<2)) << i // 0x20 to 0x80
		m.digit |= gather(between(w, '0', '9')) << i
		m.white |= gather(space|between(w, '\t', '\r')) << i
		m.space |= gather(space) << i
		m.newline |= gather(newline) << i
		m.quote |= gather(between(w, '\'', '\'')) << i
		m.slash |= gather(between(w, '/', '/')) << i
		m.high |= gather(w&highs) << i
	}
}

// between returns 0x80 in each byte of w that is in [a, b], 0 in the others; b < 0x7f.
func between(w, a, b uint64) uint64 {
	low := w &^ highs
	return (low + (0x80-a)*ones) &^ (low + (0x80-b-1)*ones) &^ w & highs
}

// gather moves the highest bit of each byte of w, whose other bits are 0, to the bit of the byte's number.
func gather(w uint64) uint64 { return (w >> 7) * 0x0102040810204080 >> 56 }
