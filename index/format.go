package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"unsafe"

	"github.com/plinth-ml/plinth/internal/quant"
)

const magic = "plinth index 2\n\x00"

// ErrFormat is in the chain of every error about a file that is no index, one of another version, or damaged.
var ErrFormat = errors.New("not an index that can be read")

// castagnoli is the polynomial of the checksum, for which processors have an instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header begins a file, little-endian; the sections follow, each from a multiple of align on, with zeros between them.
type header struct {
	Magic     [16]byte
	Rows      uint64
	TextBytes uint64 // of keys and notes
	NoteBytes uint32 // of the index's note
	Width     uint32 // numbers of a vector
	Flags     uint32
	Centres   uint32 // lists
	Probe     uint32 // lists that Near goes through
	Listed    uint64 // rows that there were when the lists were made
}

const (
	flagCosine = 1

	headerBytes = 64
	align       = 64

	maxRows = 1 << 31
	maxText = 1 << 40
	maxNote = 1 << 20

	sumBytes = 4
)

// The sections of a file.
const (
	secCodes   = iota // [rows, stride] uint8
	secScales         // [rows] float32
	secBounds         // [rows] float32
	secVectors        // [rows, dim] float32
	secEnds           // [rows, 2] uint64: where in the text a row's key and note end
	secText
	secCentres // [lists, dim] float32
	secStarts  // [lists+1] uint64: the first row of each list; nothing without lists
	secNote
	secSum // uint32: CRC-32C of all bytes before it
	sections
)

// layout returns where each section begins and ends, and the size of the file. It checks the header's numbers.
func (h *header) layout() (at [sections][2]int64, size int64, err error) {
	switch {
	case string(h.Magic[:]) != magic:
		return at, 0, fmt.Errorf("this is no index, or one of another version")
	case h.Width == 0 || h.Width > quant.MaxScan:
		return at, 0, fmt.Errorf("vectors of %d numbers: 1 to %d are taken", h.Width, quant.MaxScan)
	case h.Rows > maxRows || h.TextBytes > maxText || h.NoteBytes > maxNote:
		return at, 0, fmt.Errorf("%d rows, %d bytes of keys, %d of notes: the most are %d, %d, %d", h.Rows, h.TextBytes, h.NoteBytes, maxRows, maxText, maxNote)
	case uint64(h.Centres) > h.Rows || h.Centres == 0 && (h.Probe != 0 || h.Listed != 0) || h.Centres > 0 && (h.Probe == 0 || h.Probe > h.Centres || h.Listed == 0):
		return at, 0, fmt.Errorf("%d lists made of %d rows, %d of them searched, for %d rows", h.Centres, h.Listed, h.Probe, h.Rows)
	case h.Flags&^flagCosine != 0:
		return at, 0, fmt.Errorf("unknown flags %#x", h.Flags)
	}
	rows, dim, lists := int64(h.Rows), int64(h.Width), int64(h.Centres)
	starts := lists + 1
	if lists == 0 {
		starts = 0
	}
	size = headerBytes
	for i, n := range [sections]int64{rows * int64(quant.ScanStride(int(dim))), 4 * rows, 4 * rows, 4 * rows * dim, 16 * rows, int64(h.TextBytes), 4 * lists * dim, 8 * starts, int64(h.NoteBytes), sumBytes} {
		begin := (size + align - 1) / align * align
		at[i] = [2]int64{begin, begin + n}
		size = begin + n
	}
	return at, size, nil
}

// contents is a file taken apart; slices are views of its bytes.
type contents struct {
	header
	codes          []uint8
	scales, bounds []float32
	vectors        []float32
	ends           []uint64
	text           []byte
	centres        []float32
	starts         []uint64
	note           string
	sum            uint32
}

// parse takes a file apart and checks everything but the numbers of vectors and codes, and the sum.
func parse(data []byte) (*contents, error) {
	if len(data) < headerBytes {
		return nil, fmt.Errorf("%d bytes are no index", len(data))
	}
	var c contents
	if err := binary.Read(bytes.NewReader(data), binary.LittleEndian, &c.header); err != nil {
		return nil, err
	}
	at, size, err := c.layout()
	if err != nil {
		return nil, err
	}
	if size != int64(len(data)) {
		return nil, fmt.Errorf("the file has %d bytes, its header wants %d", len(data), size)
	}
	end := int64(binary.Size(c.header))
	section := func(i int) []byte { return data[at[i][0]:at[i][1]] }
	for i := range at {
		if bytes.Count(data[end:at[i][0]], []byte{0}) != int(at[i][0]-end) {
			return nil, fmt.Errorf("the space before section %d is not empty", i)
		}
		end = at[i][1]
	}
	c.codes, c.text, c.note = section(secCodes), section(secText), string(section(secNote))
	c.scales, c.bounds, c.vectors, c.centres = view[float32](section(secScales)), view[float32](section(secBounds)), view[float32](section(secVectors)), view[float32](section(secCentres))
	c.ends, c.starts = view[uint64](section(secEnds)), view[uint64](section(secStarts))
	c.sum = binary.LittleEndian.Uint32(section(secSum))
	last := uint64(0)
	for i, e := range c.ends {
		if e < last || e > c.TextBytes {
			return nil, fmt.Errorf("row %d: its text ends at %d of %d", i/2, e, c.TextBytes)
		}
		last = e
	}
	if last != c.TextBytes {
		return nil, fmt.Errorf("the last row's text ends at %d of %d", last, c.TextBytes)
	}
	for i, s := range c.starts {
		if i == 0 && s != 0 || i > 0 && s < c.starts[i-1] || i == int(c.Centres) && s != c.Rows {
			return nil, fmt.Errorf("list %d begins at row %d of %d", i, s, c.Rows)
		}
	}
	return &c, nil
}

// view is the bytes of an aligned section as numbers; every system that Plinth is built for is little-endian.
func view[T float32 | uint64](b []byte) []T {
	var zero T
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(zero)))
}

// raw is numbers as the bytes of a file.
func raw[T float32 | uint64](s []T) []byte {
	var zero T
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(zero)))
}
