package train

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"os"
	"slices"

	"github.com/plinth-ml/plinth/internal/file"
)

// eventFile is a TensorBoard event file: TFRecords (length, masked CRC of it, bytes, masked CRC of them) of Event protocol buffers.
// Wall times are zero, so that equal runs of a given speed give equal files.
type eventFile struct {
	f   *os.File
	buf []byte
}

// createEvents replaces path by a file of the scalars of lines, without those that a rewind has undone.
func createEvents(path string, lines []Event) (*eventFile, error) {
	var live []Event
	for _, e := range lines {
		if e.Kind == "rewind" {
			for len(live) > 0 && live[len(live)-1].Step > e.Step {
				live = live[:len(live)-1]
			}
			continue
		}
		live = append(live, e)
	}
	var b []byte
	b = appendRecord(b, appendString(nil, 3, "brain.Event:2"))
	for _, e := range live {
		b = appendScalars(b, e)
	}
	if err := file.WriteFile(path, b, 0o644); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return &eventFile{f: f}, nil
}

func (w *eventFile) write(e Event) error {
	w.buf = appendScalars(w.buf[:0], e)
	if _, err := w.f.Write(w.buf); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}

func (w *eventFile) close() error { return w.f.Close() }

// appendScalars adds a record with the scalars of e, if it has any.
func appendScalars(b []byte, e Event) []byte {
	type scalar struct {
		tag string
		v   float64
	}
	var summary []byte
	scalars := []scalar{
		{"loss", e.Loss}, {"val_loss", e.ValLoss}, {"val_bits_per_byte", e.ValBitsPerByte}, {"lr", e.LR}, {"grad_norm", e.GradNorm},
		{"tokens_per_second", e.TokensPerSecond},
	}
	for _, name := range slices.Sorted(maps.Keys(e.Terms)) {
		scalars = append(scalars, scalar{"terms/" + name, e.Terms[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(e.Measures)) {
		scalars = append(scalars, scalar{"measures/" + name, e.Measures[name]})
	}
	for _, s := range scalars {
		if s.v == 0 {
			continue
		}
		// Summary.Value: tag = 1, simple_value = 2 (float); Summary: value = 1
		value := appendString(nil, 1, s.tag)
		value = append(value, 2<<3|5)
		value = binary.LittleEndian.AppendUint32(value, math.Float32bits(float32(s.v)))
		summary = appendString(summary, 1, string(value))
	}
	if summary == nil {
		return b
	}
	// Event: step = 2, summary = 5
	event := binary.AppendUvarint([]byte{2 << 3}, uint64(e.Step))
	return appendRecord(b, appendString(event, 5, string(summary)))
}

// appendString adds a length-delimited field of a protocol buffer.
func appendString(b []byte, field int, s string) []byte {
	b = binary.AppendUvarint(b, uint64(field<<3|2))
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func maskedCRC(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

func appendRecord(b, record []byte) []byte {
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(record)))
	b = append(b, length...)
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(length))
	b = append(b, record...)
	return binary.LittleEndian.AppendUint32(b, maskedCRC(record))
}
