package spm

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// Wire types of protocol buffers.
const (
	varint = 0
	fixed8 = 1
	length = 2
	fixed4 = 5
)

// field is one field of a message.
type field struct {
	num  int
	wire int
	n    uint64 // varint, fixed4, fixed8
	data []byte // length
	raw  []byte // all of it
}

// next reads the field at the start of msg. Groups, which proto2 gave up, are refused.
func next(msg []byte) (f field, rest []byte, err error) {
	key, n := binary.Uvarint(msg)
	if n <= 0 {
		return f, nil, fmt.Errorf("broken field key")
	}
	f.num, f.wire = int(key>>3), int(key&7)
	if key>>3 == 0 || key>>3 >= 1<<29 {
		return f, nil, fmt.Errorf("field number %d", key>>3)
	}
	rest = msg[n:]
	fail := func(what string) (field, []byte, error) {
		return f, nil, fmt.Errorf("field %d: %s", f.num, what)
	}
	switch f.wire {
	case varint:
		if f.n, n = binary.Uvarint(rest); n <= 0 {
			return fail("broken number")
		}
	case fixed4, fixed8:
		if n = 4; f.wire == fixed8 {
			n = 8
		}
		if len(rest) < n {
			return fail("cut short")
		}
		for i := range n {
			f.n |= uint64(rest[i]) << (8 * i)
		}
	case length:
		size, k := binary.Uvarint(rest)
		if k <= 0 {
			return fail("broken length")
		}
		if size > uint64(len(rest)-k) {
			return fail(fmt.Sprintf("length %d, %d bytes are left", size, len(rest)-k))
		}
		n = k + int(size)
		f.data = rest[k:n]
	default:
		return fail(fmt.Sprintf("wire type %d", f.wire))
	}
	f.raw = msg[:len(msg)-len(rest)+n]
	return f, rest[n:], nil
}

// fields calls read for each field of a message. name is for errors.
func fields(name string, msg []byte, read func(f field) error) error {
	for len(msg) > 0 {
		f, rest, err := next(msg)
		if err == nil {
			err = read(f)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		msg = rest
	}
	return nil
}

// The following set a value of a known field, or say that the field is of another wire type.

func (f field) is(name string, wire int) error {
	if f.wire != wire {
		return fmt.Errorf("%s has wire type %d, want %d", name, f.wire, wire)
	}
	return nil
}

func (f field) int(name string, to *int32) error {
	*to = int32(f.n)
	return f.is(name, varint)
}

func (f field) bool(name string, to *bool) error {
	*to = f.n != 0
	return f.is(name, varint)
}

func (f field) float(name string, to *float32) error {
	*to = math.Float32frombits(uint32(f.n))
	if v := float64(*to); f.wire == fixed4 && (math.IsNaN(v) || math.IsInf(v, 0)) {
		return fmt.Errorf("%s is %v", name, v)
	}
	return f.is(name, fixed4)
}

func (f field) string(name string, to *string) error {
	if !utf8.Valid(f.data) {
		return fmt.Errorf("%s is not valid UTF-8", name)
	}
	*to = string(f.data)
	return f.is(name, length)
}

func (f field) bytes(name string, to *[]byte) error {
	*to = f.data
	return f.is(name, length)
}

func appendInt(b []byte, num int, v int32) []byte {
	b = binary.AppendUvarint(b, uint64(num)<<3|varint)
	return binary.AppendUvarint(b, uint64(int64(v)))
}

func appendBool(b []byte, num int, v bool) []byte {
	if v {
		return appendInt(b, num, 1)
	}
	return appendInt(b, num, 0)
}

func appendFloat(b []byte, num int, v float32) []byte {
	b = binary.AppendUvarint(b, uint64(num)<<3|fixed4)
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
}

func appendBytes[T string | []byte](b []byte, num int, v T) []byte {
	b = binary.AppendUvarint(b, uint64(num)<<3|length)
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}
