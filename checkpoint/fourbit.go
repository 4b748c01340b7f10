package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/internal/quant"
)

// How transformers stores a matrix that bitsandbytes made of 4 bits: the codes under the matrix's own name, and beside them NAME.absmax, the scales,
// NAME.quant_map, the numbers of the codes, with double quantisation NAME.nested_absmax and NAME.nested_quant_map, and what else there is to know as JSON.
const (
	stateMark = ".quant_state.bitsandbytes__"
	maxState  = 1 << 16 // bytes of JSON
)

// state4 is that JSON.
type state4 struct {
	Type         string   `json:"quant_type"`
	Block        int      `json:"blocksize"`
	DType        string   `json:"dtype"`
	Shape        []int    `json:"shape"`
	NestedBlock  *int     `json:"nested_blocksize"`
	NestedDType  string   `json:"nested_dtype"`
	NestedOffset *float32 `json:"nested_offset"`
}

// matrix4 is such a matrix: where its parts are in the file, and what its blocks are made of.
type matrix4 struct {
	state         state4
	codes, scales int // in Infos of the file
	nestedScales  int // -1 without double quantisation
	nestedMap     []float32
	format        quant.Format
	whole         bool // rows are whole blocks
	elements      int
}

// fourBit presents a file with such matrices as one of tensors in NF4 and FP4.
type fourBit struct {
	Source
	infos    []Info
	from     []int // of each tensor in the file
	matrices []*matrix4
}

// Unpack4Bit presents the matrices that bitsandbytes stored in src with 4 bits as tensors of type NF4 or FP4 with the shapes that they have in the model, and hides
// the tensors that belong to them; src is returned itself where there are none. Scales in 8 bits become the float32 numbers that bitsandbytes makes of them; a matrix whose
// rows are not whole blocks of 64 becomes F32. What the file says is checked before anything is made of it. Closing the result closes src.
func Unpack4Bit(src Source) (Source, error) {
	infos := src.Infos()
	f := &fourBit{Source: src}
	hidden := map[string]bool{}
	matrices := map[string]*matrix4{}
	for i, t := range infos {
		name, kind, ok := strings.Cut(t.Name, stateMark)
		if !ok {
			continue
		}
		m, parts, err := readMatrix4(src, name, kind, i)
		if err != nil {
			return nil, fmt.Errorf("checkpoint: %s: tensor %q: %w", src.Path(), name, err)
		}
		matrices[name] = m
		for _, p := range append(parts, t.Name) {
			hidden[p] = true
		}
	}
	if len(matrices) == 0 {
		return src, nil
	}
	for i, t := range infos {
		if hidden[t.Name] {
			continue
		}
		m := matrices[t.Name]
		if m != nil {
			t = Info{t.Name, m.dtype(), m.state.Shape}
		}
		f.infos, f.from, f.matrices = append(f.infos, t), append(f.from, i), append(f.matrices, m)
	}
	return f, nil
}

// readMatrix4 checks all of a matrix but its values, and returns the names of the tensors that belong to it.
func readMatrix4(src Source, name, kind string, state int) (m *matrix4, parts []string, err error) {
	infos := src.Infos()
	find := func(name string) int {
		i, ok := slices.BinarySearchFunc(infos, name, func(t Info, name string) int { return strings.Compare(t.Name, name) })
		if !ok {
			return -1
		}
		return i
	}
	m = &matrix4{nestedScales: -1}
	if err := m.parse(src, kind, state); err != nil {
		return nil, nil, err
	}
	if m.codes = find(name); m.codes < 0 {
		return nil, nil, fmt.Errorf("has a quant_state and no codes")
	}
	codes := infos[m.codes]
	if n := uint64(codes.Elements()) * uint64(codes.DType.Size()); n != uint64((m.elements+1)/2) {
		return nil, nil, fmt.Errorf("%s %v are %d bytes of codes, shape %v needs %d", codes.DType, codes.Shape, n, m.state.Shape, (m.elements+1)/2)
	}
	// part finds a tensor of n numbers.
	part := func(suffix string, d DType, n int) (int, error) {
		at := find(name + suffix)
		if at < 0 {
			return 0, fmt.Errorf("%s is missing", suffix[1:])
		}
		if t := infos[at]; t.DType != d || t.Elements() != n {
			return 0, fmt.Errorf("%s is %s %v, needs %d of %s", suffix[1:], t.DType, t.Shape, n, d)
		}
		parts = append(parts, name+suffix)
		return at, nil
	}
	table, err := part(".quant_map", F32, 16)
	if err != nil {
		return nil, nil, err
	}
	values := make([]float32, 16)
	if err := readFloats(src, table, infos[table], 0, values); err != nil {
		return nil, nil, err
	}
	if !slices.Equal(values, m.format.FourTable()) {
		return nil, nil, fmt.Errorf("quant_map is not that of %s", m.format)
	}
	blocks := (m.elements + m.state.Block - 1) / m.state.Block
	if m.state.NestedBlock == nil {
		m.scales, err = part(".absmax", F32, blocks)
		return m, parts, err
	}
	if m.scales, err = part(".absmax", U8, blocks); err != nil {
		return nil, nil, err
	}
	if m.nestedScales, err = part(".nested_absmax", F32, (blocks+quant.NestedBlock-1)/quant.NestedBlock); err != nil {
		return nil, nil, err
	}
	at, err := part(".nested_quant_map", F32, 256)
	if err != nil {
		return nil, nil, err
	}
	m.nestedMap = make([]float32, 256)
	return m, parts, readFloats(src, at, infos[at], 0, m.nestedMap)
}

// parse reads the JSON of a matrix.
func (m *matrix4) parse(src Source, kind string, at int) error {
	t := src.Infos()[at]
	if t.DType != U8 || len(t.Shape) != 1 || t.Shape[0] > maxState {
		return fmt.Errorf("quant_state is %s %v, not at most %d bytes of JSON", t.DType, t.Shape, maxState)
	}
	text := make([]byte, t.Elements())
	if err := src.Read(at, text, 0); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	s := &m.state
	if err := d.Decode(s); err != nil {
		return fmt.Errorf("quant_state: %w", err)
	}
	switch {
	case d.More():
		return fmt.Errorf("quant_state is more than one value")
	case s.Type != kind || kind != "nf4" && kind != "fp4":
		return fmt.Errorf("quant_state %q says quant_type %q: nf4 and fp4 are known", kind, s.Type)
	case s.Block < quant.FourBlock || s.Block > 4096 || s.Block%quant.FourBlock != 0:
		return fmt.Errorf("blocksize %d: multiples of %d up to 4096 are read", s.Block, quant.FourBlock)
	case (s.NestedBlock == nil) != (s.NestedOffset == nil):
		return fmt.Errorf("quant_state has one of nested_blocksize and nested_offset without the other")
	case s.NestedBlock != nil && (*s.NestedBlock != quant.NestedBlock || s.NestedDType != "float32"):
		return fmt.Errorf("nested_blocksize %d of %q: %d of float32 is read", *s.NestedBlock, s.NestedDType, quant.NestedBlock)
	case len(s.Shape) != 2:
		return fmt.Errorf("shape %v is not that of a matrix", s.Shape)
	}
	m.elements = 1
	for _, n := range s.Shape {
		if n < 1 || n > math.MaxInt32 || m.elements > math.MaxInt/2/n {
			return fmt.Errorf("shape %v", s.Shape)
		}
		m.elements *= n
	}
	m.format, _ = quant.ByName(kind)
	m.whole = s.Shape[1]%quant.FourBlock == 0
	return nil
}

func (m *matrix4) dtype() DType {
	if !m.whole {
		return F32
	}
	return DType(strings.ToUpper(m.format.String()))
}

// Infos lists the tensors, sorted by name.
func (f *fourBit) Infos() []Info { return f.infos }

// Mapped returns the memory of tensor i, nil for one of 4 bits.
func (f *fourBit) Mapped(i int) []byte {
	if f.matrices[i] != nil {
		return nil
	}
	return f.Source.Mapped(f.from[i])
}

// Read fills dst with the bytes of tensor i from off on, of one of 4 bits whole blocks.
func (f *fourBit) Read(i int, dst []byte, off int) error {
	m := f.matrices[i]
	if m == nil {
		return f.Source.Read(f.from[i], dst, off)
	}
	if !m.whole {
		return m.readFloats(f.Source, dst, off)
	}
	if len(dst)%quant.FourBytes != 0 || off%quant.FourBytes != 0 {
		return fmt.Errorf("checkpoint: %s: tensor %q: %d bytes from %d are not whole blocks", f.Path(), f.infos[i].Name, len(dst), off)
	}
	return m.blocks(f.Source, dst, off/quant.FourBytes)
}

// pieceBlocks is how many blocks are read at once: whole blocks of nested scales.
const pieceBlocks = quant.NestedBlock

// blocks writes blocks of 64 from the first on to dst. A last one that is not full is filled up with any codes.
func (m *matrix4) blocks(src Source, dst []byte, first int) error {
	codes := make([]byte, pieceBlocks*quant.FourBlock/2)
	scales := make([]float32, pieceBlocks)
	per := m.state.Block / quant.FourBlock // blocks of 64 with one scale
	for len(dst) > 0 {
		n := min(pieceBlocks, len(dst)/quant.FourBytes)
		bytes := min(n*quant.FourBlock/2, (m.elements+1)/2-first*quant.FourBlock/2)
		if err := src.Read(m.codes, codes[:bytes], first*quant.FourBlock/2); err != nil {
			return err
		}
		at := first / per
		some := scales[:(first+n-1)/per+1-at]
		if err := m.readScales(src, some, at); err != nil {
			return err
		}
		for b := range n {
			block := dst[b*quant.FourBytes:][:quant.FourBytes]
			binary.LittleEndian.PutUint32(block, math.Float32bits(some[(first+b)/per-at]))
			copy(block[quant.FourScale:], codes[b*quant.FourBlock/2:])
		}
		dst, first = dst[n*quant.FourBytes:], first+n
	}
	return nil
}

// readScales reads at most 256 scales from at on.
func (m *matrix4) readScales(src Source, dst []float32, at int) error {
	infos := src.Infos()
	if m.nestedScales < 0 {
		return readFloats(src, m.scales, infos[m.scales], at, dst)
	}
	start := at / quant.NestedBlock * quant.NestedBlock
	n := quant.Nested{Code: make([]uint8, at+len(dst)-start), Map: m.nestedMap, Offset: *m.state.NestedOffset}
	if err := src.Read(m.scales, n.Code, start); err != nil {
		return err
	}
	n.Scale = make([]float32, (len(n.Code)+quant.NestedBlock-1)/quant.NestedBlock)
	if err := readFloats(src, m.nestedScales, infos[m.nestedScales], start/quant.NestedBlock, n.Scale); err != nil {
		return err
	}
	all := make([]float32, len(n.Code))
	n.Scales(all)
	copy(dst, all[at-start:])
	return nil
}

// readFloats is Read of a matrix that is presented as F32.
func (m *matrix4) readFloats(src Source, dst []byte, off int) error {
	if len(dst)%4 != 0 || off%4 != 0 {
		return fmt.Errorf("checkpoint: %s: %d bytes from %d are not whole numbers", src.Path(), len(dst), off)
	}
	from, to := off/4, (off+len(dst))/4
	first := from / quant.FourBlock
	count := (to+quant.FourBlock-1)/quant.FourBlock - first
	packed := make([]byte, count*quant.FourBytes)
	if err := m.blocks(src, packed, first); err != nil {
		return err
	}
	values := make([]float32, count*quant.FourBlock)
	m.format.Decode(values, packed)
	for i, v := range values[from-first*quant.FourBlock : to-first*quant.FourBlock] {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
	return nil
}

// Pack4Bit lays a matrix [rows, columns] out as transformers stores one that bitsandbytes made of NF4 with double quantisation, for Unpack4Bit and for them. blocks returns
// the whole of it as package quant encodes NF4; it is called twice, so that scales, not codes, are kept between. The number of elements must be a multiple of 64. dtype
// is what bitsandbytes shall make of the codes: float32, float16 or bfloat16.
func Pack4Bit(name string, shape []int, dtype string, blocks func() ([]byte, error)) ([]Deferred, error) {
	if n := (Info{Shape: shape}).Elements(); n%quant.FourBlock != 0 {
		return nil, fmt.Errorf("checkpoint: tensor %q: %v is not whole blocks of %d", name, shape, quant.FourBlock)
	}
	b, err := blocks()
	if err != nil {
		return nil, err
	}
	scales := make([]float32, len(b)/quant.FourBytes)
	for i := range scales {
		scales[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[i*quant.FourBytes:]))
	}
	n := quant.Nest(scales)
	nested := quant.NestedBlock
	state, err := json.Marshal(state4{"nf4", quant.FourBlock, dtype, shape, &nested, "float32", &n.Offset})
	if err != nil {
		return nil, err
	}
	parts, err := deferred([]Tensor{
		{name + ".absmax", U8, []int{len(n.Code)}, n.Code},
		FromFloat32(name+".quant_map", []int{16}, quant.NF4.FourTable()),
		FromFloat32(name+".nested_absmax", []int{len(n.Scale)}, n.Scale),
		FromFloat32(name+".nested_quant_map", []int{len(n.Map)}, n.Map),
		{name + stateMark + "nf4", U8, []int{len(state)}, state},
	})
	if err != nil {
		return nil, err
	}
	return append(parts, Deferred{Info{name, U8, []int{len(scales) * quant.FourBlock / 2, 1}}, func() ([]byte, error) {
		b, err := blocks()
		if err != nil {
			return nil, err
		}
		codes := make([]byte, 0, len(b)/quant.FourBytes*quant.FourBlock/2)
		for block := range slices.Chunk(b, quant.FourBytes) {
			codes = append(codes, block[quant.FourScale:]...)
		}
		return codes, nil
	}}), nil
}
