package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/plinth-ml/plinth/checkpoint"
)

const (
	magic            = "GGUF"
	version          = 3
	defaultAlignment = 32
	maxAlignment     = 1 << 20
	maxKeys          = 1 << 16
	maxTensors       = 1 << 18
	maxKey           = 1<<16 - 1
	maxName          = 63
	maxDims          = 4
	minKey           = 8 + 0 + 4 + 1     // bytes of the smallest metadata entry
	minTensor        = 8 + 0 + 4 + 4 + 8 // bytes of the smallest tensor entry
)

const alignmentKey = "general.alignment"

// types are ggml's types by number. Those without a layout were removed.
var types = []checkpoint.DType{checkpoint.F32, checkpoint.F16, checkpoint.Q4_0, "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1", checkpoint.Q8_0, "Q8_1", "Q2_K", "Q3_K",
	checkpoint.Q4_K, checkpoint.Q5_K, checkpoint.Q6_K, "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", checkpoint.I8,
	checkpoint.I16, checkpoint.I32, checkpoint.I64, checkpoint.F64, "IQ1_M", checkpoint.BF16, "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0", "TQ2_0",
	"IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4", "NVFP4", "Q1_0", "Q2_0"}

// span is where a tensor lies in the data of its part.
type span struct {
	checkpoint.Info
	start, end int
	part       int
}

// parsed is the head of a file.
type parsed struct {
	meta      Metadata
	spans     []span // as they lie in the file
	base      int    // where the data starts
	alignment int
}

// parse checks the head of a file of size bytes, which data starts with.
func parse(data []byte, size int) (p parsed, err error) {
	r := &reader{data: data}
	switch m := string(data[:min(4, len(data))]); {
	case m == "FUGG":
		return p, errors.New("is a big-endian GGUF, which is not supported")
	case m != magic:
		return p, fmt.Errorf("starts with %q, not %q", m, magic)
	}
	r.at = 4
	switch v := r.u32(); {
	case r.err != nil:
		return p, r.err
	case v&0xffff == 0 && v != 0:
		return p, errors.New("is a big-endian GGUF, which is not supported")
	case v != 2 && v != version:
		return p, fmt.Errorf("version %d, only 2 and %d are supported", v, version)
	}
	tensors := r.count("tensors", maxTensors, minTensor)
	keys := r.count("metadata keys", maxKeys, minKey)
	if r.err != nil {
		return p, r.err
	}
	p.meta = make(Metadata, 0, keys)
	for range keys {
		p.meta = append(p.meta, r.pair())
		if r.err != nil {
			return p, r.err
		}
	}
	if name, twice := duplicate(len(p.meta), func(i int) string { return p.meta[i].Key }); twice {
		return p, fmt.Errorf("duplicate metadata key %q", name)
	}
	if p.alignment, err = p.meta.alignment(); err != nil {
		return p, err
	}
	p.spans = make([]span, 0, tensors)
	end := uint64(0) // of the tensor before, padded
	for range tensors {
		s, offset := r.tensor()
		if r.err != nil {
			return p, r.err
		}
		if offset != end {
			return p, fmt.Errorf("tensor %q: offset %d leaves a hole or overlaps, want %d", s.Name, offset, end)
		}
		s.start, s.end = int(offset), int(offset)+s.end
		if s.end < s.start || s.end > math.MaxInt-maxAlignment {
			return p, fmt.Errorf("tensor %q: ends beyond 2^63 bytes", s.Name)
		}
		end = uint64(pad(s.end, p.alignment))
		p.spans = append(p.spans, s)
	}
	if name, twice := duplicate(len(p.spans), func(i int) string { return p.spans[i].Name }); twice {
		return p, fmt.Errorf("duplicate tensor %q", name)
	}
	return p, p.place(r.at, size)
}

// place sets where the data starts behind a head of n bytes and checks that it fills the file.
func (p *parsed) place(n, size int) error {
	p.base = pad(n, p.alignment)
	last := 0
	if len(p.spans) > 0 {
		last = p.spans[len(p.spans)-1].end
	}
	if last == 0 && size == n {
		p.base = n
		return nil
	}
	if p.base > size || last > size-p.base {
		return fmt.Errorf("tensors end at byte %d + %d, the file at %d", p.base, last, size)
	}
	if extra := size - p.base - last; extra > pad(last, p.alignment)-last {
		return fmt.Errorf("%d bytes after the last tensor", extra)
	}
	return nil
}

// pad rounds n up to a multiple of alignment, a power of two.
func pad(n, alignment int) int { return (n + alignment - 1) &^ (alignment - 1) }

// duplicate finds a name that stands twice among n.
func duplicate(n int, name func(i int) string) (string, bool) {
	names := make([]string, n)
	for i := range names {
		names[i] = name(i)
	}
	slices.Sort(names)
	for i := range max(n-1, 0) {
		if names[i] == names[i+1] {
			return names[i], true
		}
	}
	return "", false
}

// reader walks over the head of a file. After the first error it stands still.
type reader struct {
	data []byte
	at   int
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("byte %d: "+format, append([]any{r.at}, args...)...)
	}
}

// take returns the next n bytes, which it does not copy, and nil where there are fewer.
func (r *reader) take(n int) []byte {
	if r.err == nil && (n < 0 || n > len(r.data)-r.at) {
		r.fail("the file ends within a value of %d bytes", n)
	}
	if r.err != nil {
		return nil
	}
	r.at += n
	return r.data[r.at-n : r.at]
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// length reads a number of things that take at least size bytes each of what is left.
func (r *reader) length(what string, size int) int {
	n := r.u64()
	if r.err == nil && n > uint64((len(r.data)-r.at)/size) {
		r.fail("%d %s in the %d bytes that are left", n, what, len(r.data)-r.at)
		return 0
	}
	return int(n)
}

// count is length with a limit.
func (r *reader) count(what string, limit, size int) int {
	n := r.length(what, size)
	if n > limit {
		r.fail("%d %s, at most %d allowed", n, what, limit)
	}
	return n
}

// str reads a string of at most limit bytes.
func (r *reader) str(what string, limit int) string {
	n := r.length("bytes of a "+what, 1)
	if n > limit {
		r.fail("a %s of %d bytes, at most %d allowed", what, n, limit)
	}
	return string(r.take(n))
}

func (r *reader) pair() Pair {
	key := r.str("key", maxKey)
	if key == "" {
		r.fail("empty key")
	}
	before := r.err
	v := r.value(r.u32())
	if r.err != nil && before == nil {
		r.err = fmt.Errorf("metadata %q: %w", key, r.err)
	}
	return Pair{key, v}
}

// tensor reads an entry; its end is the length of its data.
func (r *reader) tensor() (s span, offset uint64) {
	s.Name = r.str("tensor name", maxName)
	dims := r.u32()
	if dims > maxDims {
		r.fail("tensor %q has %d dimensions, at most %d allowed", s.Name, dims, maxDims)
	}
	if r.err != nil {
		return s, 0
	}
	s.Shape = make([]int, dims)
	for i := range s.Shape {
		n := r.u64()
		if n > math.MaxInt {
			r.fail("tensor %q: dimension of %d", s.Name, n)
		}
		s.Shape[len(s.Shape)-1-i] = int(n)
	}
	id := r.u32()
	offset = r.u64()
	if r.err != nil {
		return s, 0
	}
	if uint64(id) >= uint64(len(types)) {
		r.fail("tensor %q: unknown type %d", s.Name, id)
		return s, 0
	}
	s.DType = types[id]
	elements, size := s.DType.Block()
	inner := 1
	if dims > 0 {
		inner = s.Shape[dims-1]
	}
	switch {
	case elements == 0:
		r.fail("tensor %q: type %s is of an old format that llama.cpp removed", s.Name, s.DType)
	case inner%elements != 0:
		r.fail("tensor %q: rows of %d are not whole blocks of %s, which has %d", s.Name, inner, s.DType, elements)
	default:
		s.end = r.product(&s, uint64(size), uint64(elements))
	}
	return s, offset
}

// product returns the bytes of a tensor whose smallest piece has size bytes.
func (r *reader) product(s *span, size, elements uint64) int {
	total := size
	for i, d := range s.Shape {
		n := uint64(d)
		if i == len(s.Shape)-1 {
			n /= elements
		}
		hi, lo := bits.Mul64(total, n)
		if hi != 0 || lo > math.MaxInt {
			r.fail("tensor %q: shape %v of %s overflows", s.Name, s.Shape, s.DType)
			return 0
		}
		total = lo
	}
	return int(total)
}

// numbers reads n numbers of a fixed size.
func numbers[T any](r *reader, n int) []T {
	var zero T
	size := int(unsafe.Sizeof(zero))
	if n > (len(r.data)-r.at)/size {
		r.fail("%d numbers of %d bytes in the %d that are left", n, size, len(r.data)-r.at)
		return nil
	}
	v := make([]T, n)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), n*size), r.take(n*size)) // every machine that Plinth builds for is little-endian
	return v
}

// one reads a number.
func one[T any](r *reader) any {
	if v := numbers[T](r, 1); len(v) == 1 {
		return v[0]
	}
	return nil
}

// truths reads n truth values.
func (r *reader) truths(n int) []bool {
	v := make([]bool, 0, min(n, len(r.data)-r.at))
	for _, b := range r.take(n) {
		if b > 1 {
			r.fail("truth value %d", b)
		}
		v = append(v, b == 1)
	}
	return v
}

// strings reads n strings, which share one piece of memory.
func (r *reader) strings(n int) []string {
	start := r.at
	for range n {
		r.take(r.length("bytes of a string", 1))
		if r.err != nil {
			return nil
		}
	}
	all, v := string(r.data[start:r.at]), make([]string, n)
	for i, at := 0, 0; i < n; i++ {
		length := int(binary.LittleEndian.Uint64(r.data[start+at:]))
		v[i] = all[at+8 : at+8+length]
		at += 8 + length
	}
	return v
}

// Numbers of the metadata types.
const (
	typeU8 = iota
	typeI8
	typeU16
	typeI16
	typeU32
	typeI32
	typeF32
	typeBool
	typeString
	typeArray
	typeU64
	typeI64
	typeF64
)

// value reads a value of the type id.
func (r *reader) value(id uint32) any {
	switch id {
	case typeU8:
		return one[uint8](r)
	case typeI8:
		return one[int8](r)
	case typeU16:
		return one[uint16](r)
	case typeI16:
		return one[int16](r)
	case typeU32:
		return one[uint32](r)
	case typeI32:
		return one[int32](r)
	case typeF32:
		return one[float32](r)
	case typeBool:
		if v := r.truths(1); len(v) == 1 {
			return v[0]
		}
		return nil
	case typeString:
		return r.str("string", math.MaxInt)
	case typeArray:
		return r.array(r.u32())
	case typeU64:
		return one[uint64](r)
	case typeI64:
		return one[int64](r)
	case typeF64:
		return one[float64](r)
	}
	r.fail("unknown type %d", id)
	return nil
}

// array reads the length and the elements of an array of type id.
func (r *reader) array(id uint32) any {
	n := r.length("elements", 1)
	switch id {
	case typeU8:
		return numbers[uint8](r, n)
	case typeI8:
		return numbers[int8](r, n)
	case typeU16:
		return numbers[uint16](r, n)
	case typeI16:
		return numbers[int16](r, n)
	case typeU32:
		return numbers[uint32](r, n)
	case typeI32:
		return numbers[int32](r, n)
	case typeF32:
		return numbers[float32](r, n)
	case typeBool:
		return r.truths(n)
	case typeString:
		return r.strings(n)
	case typeArray:
		r.fail("an array of arrays")
		return nil
	case typeU64:
		return numbers[uint64](r, n)
	case typeI64:
		return numbers[int64](r, n)
	case typeF64:
		return numbers[float64](r, n)
	}
	r.fail("unknown element type %d", id)
	return nil
}
