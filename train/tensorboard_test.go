package train

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// records is the inverse of appendRecord, for reading a file back.
func records(b []byte) ([][]byte, error) {
	var list [][]byte
	for len(b) > 0 {
		if len(b) < 12 || maskedCRC(b[:8]) != binary.LittleEndian.Uint32(b[8:]) {
			return list, fmt.Errorf("record %d: its length is damaged", len(list))
		}
		n := binary.LittleEndian.Uint64(b)
		if n > uint64(len(b)) || uint64(len(b)) < 16+n || maskedCRC(b[12:12+n]) != binary.LittleEndian.Uint32(b[12+n:]) {
			return list, fmt.Errorf("record %d is damaged", len(list))
		}
		list = append(list, bytes.Clone(b[12:12+n]))
		b = b[16+n:]
	}
	return list, nil
}
