package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	meta "github.com/parquet-go/parquet-go/format"
)

// The library allocates what lengths inside a file ask for. So they are checked before it sees them: the footer's when a file is opened, those of pages when their group of
// rows begins. What one footer or page may ask for is bounded by room.

// room is the memory that a file of size bytes may ask for at once.
func room(size int64) int64 { return 16<<20 + 8*size }

// inMemory is more than a struct of the footer takes in memory.
const inMemory = 1 << 10

// checkFooter refuses a file whose footer does not lie in it, or claims lists and texts that do not lie in the footer.
func checkFooter(f io.ReaderAt, size int64) error {
	var tail [8]byte
	if size < 12 {
		return fmt.Errorf("%d bytes are no Parquet file", size)
	}
	if _, err := f.ReadAt(tail[:], size-8); err != nil {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if n > size-12 {
		return fmt.Errorf("a footer of %d bytes in a file of %d", n, size)
	}
	footer := make([]byte, n)
	if _, err := f.ReadAt(footer, size-8-n); err != nil {
		return err
	}
	w := compact{b: footer}
	if err := w.skip(typeStruct, 0); err != nil {
		return fmt.Errorf("footer: %w", err)
	}
	if int64(w.structs)*inMemory > room(size) {
		return fmt.Errorf("footer: %d entries in a file of %d bytes", w.structs, size)
	}
	return nil
}

// checkGroup refuses a group of rows of which a part does not lie in the file of size bytes, or has a page that claims more than there is, or more values than room is for.
func checkGroup(f io.ReaderAt, size int64, g *meta.RowGroup) error {
	if g.NumRows < 0 {
		return fmt.Errorf("%d rows", g.NumRows)
	}
	for i := range g.Columns {
		m := &g.Columns[i].MetaData
		at, n := m.DataPageOffset, m.TotalCompressedSize
		if d := m.DictionaryPageOffset; d > 0 && d < at {
			at = d
		}
		if at < 4 || n < 0 || at > size || n > size-at || m.NumValues < 0 {
			return fmt.Errorf("column %d: %d values in %d bytes at %d of a file of %d", i, m.NumValues, n, at, size)
		}
		for from := at; at < from+n; {
			header, length, err := pageHeader(f, at, from+n-at)
			if err != nil {
				return fmt.Errorf("column %d: page at %d: %w", i, at, err)
			}
			at += length
			packed, plain := int64(header.CompressedPageSize), int64(header.UncompressedPageSize)
			values := max(header.DataPageHeader.V.NumValues, header.DataPageHeaderV2.V.NumValues, header.DictionaryPageHeader.V.NumValues)
			if packed < 0 || packed > from+n-at || plain < 0 || plain > room(size) || int64(values) > room(size)/8 {
				return fmt.Errorf("column %d: a page of %d values, %d bytes, %d unpacked, with %d bytes left", i, values, packed, plain, from+n-at)
			}
			at += packed
		}
	}
	return nil
}

// pageHeader reads the header at a place with so many bytes behind it, and returns its length.
func pageHeader(f io.ReaderAt, at, left int64) (*meta.PageHeader, int64, error) {
	for most := int64(1 << 10); ; most *= 16 { // statistics may be long
		b := make([]byte, min(most, left))
		if _, err := f.ReadAt(b, at); err != nil {
			return nil, 0, err
		}
		w := compact{b: b}
		switch err := w.skip(typeStruct, 0); {
		case errors.Is(err, io.ErrUnexpectedEOF) && int64(len(b)) < left:
			continue
		case err != nil:
			return nil, 0, err
		}
		length := len(b) - len(w.b)
		header := new(meta.PageHeader)
		err := thrift.NewDecoder(new(thrift.CompactProtocol).NewReaderFromBytes(b[:length])).Decode(header)
		return header, int64(length), err
	}
}

// compact walks over values of Thrift's compact protocol, and counts the structs.
type compact struct {
	b       []byte
	structs int
}

// Types of Thrift's compact protocol.
const (
	typeTrue = iota + 1
	typeFalse
	typeByte
	typeI16
	typeI32
	typeI64
	typeDouble
	typeBinary
	typeList
	typeSet
	typeMap
	typeStruct
	typeUUID
)

// deepest nesting of values; Parquet has a handful.
const deepest = 32

func (w *compact) take(n uint64) error {
	if n > uint64(len(w.b)) {
		return io.ErrUnexpectedEOF
	}
	w.b = w.b[n:]
	return nil
}

func (w *compact) byte() (byte, error) {
	if len(w.b) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	b := w.b[0]
	w.b = w.b[1:]
	return b, nil
}

func (w *compact) varint() (uint64, error) {
	v, n := binary.Uvarint(w.b)
	switch {
	case n == 0:
		return 0, io.ErrUnexpectedEOF
	case n < 0:
		return 0, errors.New("a number of more than 64 bits")
	}
	w.b = w.b[n:]
	return v, nil
}

// skip walks over a value. Every element of a list takes a byte at least, so a list is no longer than what is left.
func (w *compact) skip(typ byte, depth int) error {
	if depth > deepest {
		return fmt.Errorf("values more than %d deep", deepest)
	}
	switch typ {
	case typeTrue, typeFalse, typeByte:
		return w.take(1)
	case typeI16, typeI32, typeI64:
		_, err := w.varint()
		return err
	case typeDouble:
		return w.take(8)
	case typeUUID:
		return w.take(16)
	case typeBinary:
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.take(n)
	case typeList, typeSet:
		head, err := w.byte()
		n := uint64(head >> 4)
		if err == nil && n == 15 {
			n, err = w.varint()
		}
		if err == nil && n > uint64(len(w.b)) {
			err = io.ErrUnexpectedEOF
		}
		for ; n > 0 && err == nil; n-- {
			err = w.skip(head&15, depth+1)
		}
		return err
	case typeStruct:
		w.structs++
		for {
			head, err := w.byte()
			if err != nil || head == 0 {
				return err
			}
			if head>>4 == 0 {
				if _, err := w.varint(); err != nil { // the number of the field
					return err
				}
			}
			if typ := head & 15; typ != typeTrue && typ != typeFalse { // these are their own value
				if err := w.skip(typ, depth+1); err != nil {
					return err
				}
			}
		}
	}
	return fmt.Errorf("a value of type %d", typ) // maps too: Parquet has none
}
