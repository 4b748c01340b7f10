package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
)

// raw builds a file field by field: strings get their length, ints eight bytes, u the four bytes of a uint32.
type raw []byte

type u uint32

func build(fields ...any) raw {
	var b raw
	for _, f := range fields {
		switch v := f.(type) {
		case raw:
			b = append(b, v...)
		case string:
			b = appendString(b, v)
		case u:
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		case int:
			b = binary.LittleEndian.AppendUint64(b, uint64(v))
		case byte:
			b = append(b, v)
		default:
			panic(fmt.Sprintf("%T", f))
		}
	}
	return b
}

// head is magic, version and counts.
func head(tensors, keys int) raw { return build(raw(magic), u(3), tensors, keys) }

// padded ends a head and adds n bytes of data.
func (b raw) padded(alignment, n int) raw {
	return append(b, make([]byte, pad(len(b), alignment)-len(b)+n)...)
}

// tensor is an entry of F32 values.
func tensor(name string, offset int, dims ...any) raw {
	return build(append(append([]any{name, u(len(dims))}, dims...), u(0), offset)...)
}

var hostile = []struct {
	name, want string
	file       raw
}{
	{"empty", "starts with", raw{}},
	{"magic", "starts with", build(raw("GGUX"), u(3), 0, 0)},
	{"big-endian magic", "big-endian", build(raw("FUGG"), u(3), 0, 0)},
	{"big-endian version", "big-endian", build(raw(magic), u(3<<24), 0, 0)},
	{"version 0", "version 0", build(raw(magic), u(0), 0, 0)},
	{"version 1", "version 1", build(raw(magic), u(1), 0, 0)},
	{"version 4", "version 4", build(raw(magic), u(4), 0, 0)},
	{"no version", "ends within", raw(magic)},
	{"no counts", "ends within", build(raw(magic), u(3), 0)},
	{"tensor count", "tensors in the", head(-1, 0)},
	{"tensor count that fits nothing", "tensors in the", head(1<<40, 0)},
	{"key count", "metadata keys in the", head(0, math.MaxInt)},
	{"too many tensors", "at most", head(maxTensors+1, 0).padded(32, minTensor*(maxTensors+2))},
	{"too many keys", "at most", head(0, maxKeys+1).padded(32, minKey*(maxKeys+2))},
	{"key length", "bytes of a key", build(head(0, 1), -1, u(typeU8), byte(1)).padded(32, 0)},
	{"key length 2^40", "bytes of a key", build(head(0, 1), 1<<40, u(typeU8), byte(1)).padded(32, 0)},
	{"long key", "at most", build(head(0, 1), strings.Repeat("k", maxKey+1), u(typeU8), byte(1))},
	{"empty key", "empty key", build(head(0, 1), "", u(typeU8), byte(1))},
	{"key type", "unknown type 13", build(head(0, 1), "k", u(13), byte(1))},
	{"key type 2^31", "unknown type", build(head(0, 1), "k", u(1<<31), byte(1))},
	{"cut value", `metadata "k"`, build(head(0, 1), "k", u(typeU32), byte(1))},
	{"string length", "bytes of a string", build(head(0, 1), "k", u(typeString), 1<<62)},
	{"truth value", "truth value 2", build(head(0, 1), "k", u(typeBool), byte(2))},
	{"array length", "elements in the", build(head(0, 1), "k", u(typeArray), u(typeU8), 1<<50)},
	{"array length times size", "numbers of 8 bytes", build(head(0, 1), "k", u(typeArray), u(typeU64), 9, raw("123456789"))},
	{"array length wraps", "elements in the", build(head(0, 1), "k", u(typeArray), u(typeU64), 1<<61)},
	{"array of unknown", "unknown element type", build(head(0, 1), "k", u(typeArray), u(99), 0)},
	{"array of arrays", "array of arrays", build(head(0, 1), "k", u(typeArray), u(typeArray), 1, u(typeU8), 0)},
	{"array of strings", "bytes of a string", build(head(0, 1), "k", u(typeArray), u(typeString), 2, "a", 1<<40)},
	{"duplicate key", "duplicate metadata key", build(head(0, 2), "k", u(typeU8), byte(1), "k", u(typeU8), byte(1))},
	{"alignment 0", "power of two", build(head(0, 1), alignmentKey, u(typeU32), u(0))},
	{"alignment 13", "power of two", build(head(0, 1), alignmentKey, u(typeU32), u(13))},
	{"alignment 2^31", "power of two", build(head(0, 1), alignmentKey, u(typeU32), u(1<<31))},
	{"alignment type", "want uint32", build(head(0, 1), alignmentKey, u(typeU64), 32)},
	{"name length", "bytes of a tensor name", build(head(1, 0), -1, u(1), 1, u(0), 0).padded(32, 32)},
	{"long name", "at most", build(head(1, 0), tensor(strings.Repeat("n", 64), 0, 1)).padded(32, 32)},
	{"dimensions", "5 dimensions", build(head(1, 0), tensor("a", 0, 1, 1, 1, 1, 1)).padded(32, 32)},
	{"dimension count 2^32", "dimensions", build(head(1, 0), "a", u(math.MaxUint32), 1, u(0), 0).padded(32, 32)},
	{"negative dimension", "dimension of", build(head(1, 0), tensor("a", 0, -1)).padded(32, 32)},
	{"product overflows", "overflows", build(head(1, 0), tensor("a", 0, 1<<32, 1<<31)).padded(32, 32)},
	{"product wraps to small", "overflows", build(head(1, 0), tensor("a", 0, 1<<32, 1<<32, 1)).padded(32, 32)},
	{"bytes overflow", "overflows", build(head(1, 0), tensor("a", 0, 1<<61)).padded(32, 32)},
	{"padding wraps", "ends beyond", build(head(1, 0), "a", u(1), math.MaxInt, u(24), 0).padded(32, 32)},
	{"type", "unknown type 43", build(head(1, 0), "a", u(1), 32, u(43), 0).padded(32, 32)},
	{"type 2^31", "unknown type", build(head(1, 0), "a", u(1), 32, u(1<<31), 0).padded(32, 32)},
	{"removed type", "Q4_2", build(head(1, 0), "a", u(1), 32, u(4), 0).padded(32, 32)},
	{"removed type 2", "Q4_0_8_8", build(head(1, 0), "a", u(1), 32, u(33), 0).padded(32, 32)},
	{"part of a block", "whole blocks", build(head(1, 0), "a", u(1), 33, u(8), 0).padded(32, 64)},
	{"scalar of a block type", "whole blocks", build(head(1, 0), "a", u(0), u(8), 0).padded(32, 64)},
	{"first offset", "hole or overlap", build(head(1, 0), tensor("a", 32, 1)).padded(32, 64)},
	{"offset overlaps", "hole or overlap", build(head(2, 0), tensor("a", 0, 9), tensor("b", 32, 1)).padded(32, 96)},
	{"offset leaves a hole", "hole or overlap", build(head(2, 0), tensor("a", 0, 8), tensor("b", 64, 1)).padded(32, 96)},
	{"offset 2^63", "hole or overlap", build(head(2, 0), tensor("a", 0, 8), tensor("b", -32, 1)).padded(32, 96)},
	{"unaligned offset", "hole or overlap", build(head(2, 0), tensor("a", 0, 1), tensor("b", 4, 1)).padded(32, 96)},
	{"duplicate tensor", "duplicate tensor", build(head(2, 0), tensor("a", 0, 8), tensor("a", 32, 8)).padded(32, 64)},
	{"offset of another alignment", "hole or overlap", build(head(2, 1), alignmentKey, u(typeU32), u(64), tensor("a", 0, 8), tensor("b", 32, 8)).padded(64, 64)},
	{"no data", "the file at", build(head(1, 0), tensor("a", 0, 8))},
	{"not enough data", "the file at", build(head(1, 0), tensor("a", 0, 8)).padded(32, 31)},
	{"data beyond memory", "the file at", build(head(1, 0), tensor("a", 0, 1<<60)).padded(32, 32)},
	{"bytes after the end", "after the last tensor", build(head(1, 0), tensor("a", 0, 7)).padded(32, 33)},
	{"bytes after no tensors", "after the last tensor", head(0, 0).padded(32, 1)},
}

func TestHostile(t *testing.T) {
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := parse(c.file, len(c.file))
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > uint64(8*len(c.file)+16<<20) {
				t.Errorf("%d bytes allocated for a file of %d", n, len(c.file))
			}
		})
	}
}

// Files at the edge of what is allowed.
func TestAccepted(t *testing.T) {
	for name, b := range map[string]raw{
		"nothing":             head(0, 0),
		"nothing, padded":     head(0, 0).padded(32, 0),
		"version 2":           build(raw(magic), u(2), 0, 0),
		"no padding at end":   build(head(1, 0), tensor("a", 0, 7)).padded(32, 28),
		"padding at end":      build(head(1, 0), tensor("a", 0, 7)).padded(32, 32),
		"empty tensor":        build(head(2, 0), tensor("a", 0, 0), tensor("b", 0, 1)).padded(32, 4),
		"empty beside 2^40":   build(head(1, 0), tensor("a", 0, 1<<40, 0)),
		"scalar":              build(head(1, 0), tensor("a", 0)).padded(32, 4),
		"no name":             build(head(1, 0), tensor("", 0, 1)).padded(32, 4),
		"alignment 8":         build(head(1, 1), alignmentKey, u(typeU32), u(8), tensor("a", 0, 1)).padded(8, 4),
		"empty strings":       build(head(0, 1), "k", u(typeArray), u(typeString), 2, "", ""),
		"strings, not UTF-8":  build(head(0, 1), "k", u(typeString), "\xff\x00"),
		"quantised, two rows": build(head(1, 0), "a", u(2), 32, 2, u(8), 0).padded(32, 68),
	} {
		if err := invariants(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := parse(b, len(b)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// write encodes a whole file in memory.
func write(meta Metadata, tensors []Tensor) ([]byte, error) {
	out, sizes, alignment, err := encode(meta, tensors)
	if err != nil {
		return nil, err
	}
	for i, t := range tensors {
		data, err := t.Data()
		if err != nil {
			return nil, err
		}
		out = append(append(out, data...), make([]byte, pad(sizes[i], alignment)-sizes[i])...)
	}
	return out, nil
}

// rewrite parses a file and writes it again.
func rewrite(data []byte) ([]byte, error) {
	p, err := parse(data, len(data))
	if err != nil {
		return nil, err
	}
	var list []Tensor
	for _, s := range p.spans {
		list = append(list, Tensor{Info: s.Info, Data: func() ([]byte, error) { return data[p.base+s.start : p.base+s.end], nil }})
	}
	return write(p.meta, list)
}

// invariants checks that an accepted file is written again to bytes that do not change any more and hold the same.
func invariants(data []byte) error {
	p, err := parse(data, len(data))
	if err != nil {
		return nil
	}
	once, err := rewrite(data)
	if err != nil {
		return err
	}
	twice, err := rewrite(once)
	if err != nil || !bytes.Equal(once, twice) {
		return fmt.Errorf("encoded twice: %q and %q, %v", once, twice, err)
	}
	q, err := parse(once, len(once))
	if err != nil {
		return err
	}
	same := slices.EqualFunc(p.spans, q.spans, func(a, b span) bool {
		return a.Name == b.Name && a.DType == b.DType && slices.Equal(a.Shape, b.Shape) && bytes.Equal(data[p.base+a.start:p.base+a.end], once[q.base+b.start:q.base+b.end])
	})
	if !same || len(p.meta) != len(q.meta) {
		return fmt.Errorf("encoded again: %v %v, was %v %v", q.meta, q.spans, p.meta, p.spans)
	}
	return nil
}

// sample has every type of metadata and of tensor.
func sample() (Metadata, []Tensor) {
	meta := Metadata{{"general.architecture", "llama"}, {"a", uint8(1)}, {"b", int8(-1)}, {"c", uint16(2)}, {"d", int16(-2)}, {"e", uint32(3)}, {"f", int32(-3)},
		{"g", float32(0.1)}, {"h", true}, {"i", uint64(4)}, {"j", int64(-4)}, {"k", 0.1}, {"la", []uint8{1, 2}}, {"lb", []int8{-1}}, {"lc", []uint16{2}},
		{"ld", []int16{-2}}, {"le", []uint32{}}, {"lf", []int32{-3, 3}}, {"lg", []float32{0.5}}, {"lh", []bool{true, false}}, {"li", []string{"", "é", "\xff"}},
		{"lj", []uint64{4}}, {"lk", []int64{-4}}, {"ll", []float64{0.1, 0.2}}}
	var tensors []Tensor
	for i, d := range types {
		elements, size := d.Block()
		if elements == 0 {
			continue
		}
		shape, n := []int{2, elements}, 2*size
		if i%2 == 0 {
			shape, n = []int{elements}, size
		}
		data := bytes.Repeat([]byte{byte(i), 0x3c}, n)[:n]
		tensors = append(tensors, Tensor{Info: checkpoint.Info{Name: fmt.Sprintf("blk.%d.%s", i, d), DType: d, Shape: shape}, Data: func() ([]byte, error) { return data, nil }})
	}
	return meta, tensors
}

// TestCutsAndFlips cuts a small file at every byte and flips every bit of its head.
func TestCutsAndFlips(t *testing.T) {
	meta, tensors := sample()
	whole, err := write(meta, tensors)
	if err != nil {
		t.Fatal(err)
	}
	p, err := parse(whole, len(whole))
	if err != nil {
		t.Fatal(err)
	}
	last := p.base + p.spans[len(p.spans)-1].end
	for i := range whole {
		if _, err := parse(whole[:i], i); err == nil && i < last {
			t.Errorf("cut at %d of %d is accepted", i, last)
		}
		for bit := 0; bit < 8 && i < p.base; bit++ {
			bad := bytes.Clone(whole)
			bad[i] ^= 1 << bit
			if err := invariants(bad); err != nil {
				t.Errorf("byte %d, bit %d: %v", i, bit, err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	whole, err := write(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	for _, c := range hostile {
		if len(c.file) < 1<<12 {
			f.Add([]byte(c.file))
		}
	}
	f.Add([]byte(build(head(2, 1), alignmentKey, u(typeU32), u(8), tensor("a", 0, 1), tensor("b", 8, 1)).padded(8, 12)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := invariants(data); err != nil {
			t.Error(err)
		}
	})
}
