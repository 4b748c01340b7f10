package media

import "encoding/binary"

// HasAlpha tells by the first bytes of a file, a few thousand of them, whether its format lets pixels be transparent, though all may be opaque: a PNG or WebP with alpha,
// a PNG or GIF with a transparent colour. Decode drops what they say, DecodeOver heeds it.
func HasAlpha(head []byte) bool {
	switch name, _ := format(head); name {
	case "PNG":
		const kind = 8 + 8 + 9 // the colour type in IHDR, which comes first
		return len(head) > kind && (head[kind]&4 != 0 || pngHas(head, "tRNS"))
	case "GIF":
		scan, _ := scanGIF(head, 1)
		return scan.transparent >= 0
	case "WebP":
		if len(head) < 30 {
			return false
		}
		switch string(head[12:16]) {
		case "VP8X":
			return head[20]&0x10 != 0
		case "VP8L":
			return head[24]&0x10 != 0 // behind a byte of signature and twice 14 bits of size
		}
	}
	return false
}

// pngHas says whether there is a chunk of a name before those of pixels.
func pngHas(b []byte, name string) bool {
	for at := 8; at+8 <= len(b); {
		n, kind := binary.BigEndian.Uint32(b[at:]), string(b[at+4:at+8])
		if kind == name || kind == "IDAT" {
			return kind == name
		}
		if at += 12; uint64(n) > uint64(len(b)-min(at, len(b))) {
			return false
		}
		at += int(n)
	}
	return false
}
