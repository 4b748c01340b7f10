package media

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
)

// decodeJPEG decodes with image/jpeg, brings colours to full resolution and to RGB as libjpeg does, and turns the picture upright.
func decodeJPEG(b []byte, limits Limits) (*Image, error) {
	scans, exif := scanJPEG(b)
	if scans > limits.Scans {
		return nil, fmt.Errorf("%d scans: %w of %d", scans, ErrLimit, limits.Scans)
	}
	src, err := jpegCodec.decode(b, limits)
	if err != nil {
		return nil, err
	}
	var m *Image
	if planes, ok := src.(*image.YCbCr); ok {
		m, err = planesRGB(planes, jpegUpsampler, jfifRGB)
	} else {
		m, err = interleaved(src)
	}
	if err != nil {
		return nil, err
	}
	return orient(m, orientation(exif)), nil
}

// scanJPEG walks over the segments: it counts scans and finds the first EXIF block, without its name. It stops where the file makes
// no sense, which the decoder then reports.
func scanJPEG(b []byte) (scans int, exif []byte) {
	at := 2
	for at+4 <= len(b) {
		if b[at] != 0xff { // inside a scan's codes
			next := bytes.IndexByte(b[at:], 0xff)
			if next < 0 {
				return scans, exif
			}
			at += next
			continue
		}
		kind := b[at+1]
		if kind == 0xff { // filling
			at++
			continue
		}
		if kind <= 0x01 || kind >= 0xd0 && kind <= 0xd8 { // a stuffed byte, a restart: without a length
			at += 2
			continue
		}
		if kind == 0xd9 { // the end
			return scans, exif
		}
		end := at + 2 + int(binary.BigEndian.Uint16(b[at+2:]))
		if end < at+4 || end > len(b) {
			return scans, exif
		}
		payload := b[at+4 : end]
		if kind == 0xda {
			scans++
		}
		if name := []byte("Exif\x00\x00"); kind == 0xe1 && exif == nil && bytes.HasPrefix(payload, name) {
			exif = payload[len(name):]
		}
		at = end
	}
	return scans, exif
}

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
