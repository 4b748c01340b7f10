package serve

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
)

// A picture in a request is a text of megabytes, and encoding/json goes through all of it twice, a byte at a time: 10 ms a megabyte. So the body is checked without its long texts,
// and the fields that hold pictures are read by functions of our own; encoding/json reads what remains.

// longText is from how many bytes on a text is left out of what encoding/json checks.
const longText = 1 << 10

// roomy is an object of a request with fields that may hold pictures.
type roomy interface {
	// room is what reads a field of this name, which is right JSON; nil: it holds no pictures.
	room(name string) func([]byte) error
}

// decodeRoomy is strict for a body with pictures, of about so many bytes; less than 0: nobody knows.
func decodeRoomy(r io.Reader, size int64, v roomy) error {
	b, err := readBody(r, size)
	if err != nil {
		return explain(err)
	}
	if short := withoutLong(b, longText); !json.Valid(short) {
		return strict(bytes.NewReader(short), v) // says what is wrong with it
	}
	return readRoomy(bytes.TrimSpace(b), v)
}

// readBody reads a body that says its size, for which it takes memory when a good piece has come.
func readBody(r io.Reader, size int64) ([]byte, error) {
	const piece, atOnce = 1 << 18, 8 << 20
	var body bytes.Buffer
	body.Grow(int(min(max(size, 0), piece)) + bytes.MinRead)
	if _, err := body.ReadFrom(io.LimitReader(r, piece)); err != nil {
		return nil, err
	}
	if body.Len() == piece {
		body.Grow(int(min(max(size-piece, 0), atOnce)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(r)
	return body.Bytes(), err
}

// readRoomy reads right JSON into v.
func readRoomy(b []byte, v roomy) error {
	if b[0] != '{' {
		return strict(bytes.NewReader(b), v)
	}
	rest := []byte("{")
	type field struct {
		read  func([]byte) error
		value []byte
	}
	var fields []field
	err := split(b, func(one []byte) error {
		name, value, err := member(one)
		if err != nil {
			return err
		}
		if read := v.room(name); read != nil {
			fields = append(fields, field{read, value})
			return nil
		}
		if len(rest) > 1 {
			rest = append(rest, ',')
		}
		rest = append(rest, one...)
		return nil
	})
	if err != nil {
		return explain(err)
	}
	if err := strict(bytes.NewReader(append(rest, '}')), v); err != nil {
		return err
	}
	for _, f := range fields {
		if err := f.read(f.value); err != nil {
			return explain(err)
		}
	}
	return nil
}

// withoutLong is a copy of JSON with an empty text in the place of each of so many bytes that is right by itself: without escapes and control characters. One is right JSON where the
// other is: both have the same texts up to the first fault, which is not among those left out.
func withoutLong(b []byte, long int) []byte {
	short := make([]byte, 0, min(len(b), 1<<16))
	for {
		begin := bytes.IndexByte(b, '"')
		if begin < 0 {
			return append(short, b...)
		}
		end := textEnd(b, begin)
		if end < 0 {
			return append(short, b...)
		}
		text := b[begin+1 : end-1]
		if len(text) < long || bytes.IndexByte(text, '\\') >= 0 || hasControl(text) {
			short = append(short, b[:end]...)
		} else {
			short = append(append(short, b[:begin]...), `""`...)
		}
		b = b[end:]
	}
}

// hasControl says whether a byte is less than a blank, which JSON's texts may not have.
func hasControl(b []byte) bool {
	const ones = 0x0101010101010101
	for ; len(b) >= 8; b = b[8:] {
		if x := binary.LittleEndian.Uint64(b); (x-ones*' ')&^x&(ones*0x80) != 0 {
			return true
		}
	}
	for _, c := range b {
		if c < ' ' {
			return true
		}
	}
	return false
}
