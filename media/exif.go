package media

import "encoding/binary"

// orientation reads tag 0x0112 of the first directory of an EXIF block: 1 to 8, or 1 where there is none that makes sense.
func orientation(exif []byte) int {
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case len(exif) < 8:
		return 1
	case string(exif[:2]) == "MM":
		order = binary.BigEndian
	case string(exif[:2]) != "II":
		return 1
	}
	start := order.Uint32(exif[4:])
	if order.Uint16(exif[2:]) != 42 || uint64(start)+2 > uint64(len(exif)) {
		return 1
	}
	entries := exif[start+2:]
	for range order.Uint16(exif[start:]) {
		if len(entries) < 12 {
			break
		}
		const short = 3
		if order.Uint16(entries) == 0x0112 && order.Uint16(entries[2:]) == short && order.Uint32(entries[4:]) == 1 {
			if v := order.Uint16(entries[8:]); v >= 1 && v <= 8 {
				return int(v)
			}
			return 1
		}
		entries = entries[12:]
	}
	return 1
}
