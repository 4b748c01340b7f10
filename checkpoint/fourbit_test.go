package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/quant"
)

// file4 are the tensors of a matrix of 4 bits called w, by what follows its name, and its blocks of 64.
func file4(t testing.TB, shape []int, block int, nested bool) (map[string]Tensor, []byte) {
	t.Helper()
	n := shape[0] * shape[1]
	x := make([]float32, (n+quant.FourBlock-1)/quant.FourBlock*quant.FourBlock)
	for i := range n {
		x[i] = float32(math.Sin(float64(i*i))) * (1 + float32(i/block%5))
	}
	for at := 0; at < len(x); at += block { // the largest of each stands in all of its parts, which so have one scale
		part := x[at:min(at+block, len(x))]
		for i := 0; i < len(part); i += quant.FourBlock {
			part[i] = slices.Max(part)
		}
	}
	blocks := make([]byte, quant.NF4.Bytes(len(x)))
	quant.NF4.Encode(blocks, x)
	var codes []byte
	var scales []float32
	for i := 0; i < len(blocks); i += quant.FourBytes {
		if i/quant.FourBytes*quant.FourBlock%block == 0 {
			scales = append(scales, math.Float32frombits(binary.LittleEndian.Uint32(blocks[i:])))
		}
		codes = append(codes, blocks[i+quant.FourScale:i+quant.FourBytes]...)
	}
	codes = codes[:(n+1)/2]
	state := fmt.Sprintf(`"quant_type": "nf4", "blocksize": %d, "dtype": "bfloat16", "shape": [%d, %d]`, block, shape[0], shape[1])
	f := map[string]Tensor{
		"":           {"", U8, []int{len(codes), 1}, codes},
		".absmax":    FromFloat32("", []int{len(scales)}, scales),
		".quant_map": FromFloat32("", []int{16}, quant.NF4.FourTable()),
	}
	if nested {
		q := quant.Nest(scales)
		q.Scales(scales)
		f[".absmax"] = Tensor{"", U8, []int{len(q.Code)}, q.Code}
		f[".nested_absmax"] = FromFloat32("", []int{len(q.Scale)}, q.Scale)
		f[".nested_quant_map"] = FromFloat32("", []int{256}, q.Map)
		state += fmt.Sprintf(`, "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": %v`, float64(q.Offset))
	}
	f[stateMark+"nf4"] = Tensor{"", U8, []int{len(state) + 2}, []byte("{" + state + "}")}
	for i := range len(blocks) / quant.FourBytes {
		binary.LittleEndian.PutUint32(blocks[i*quant.FourBytes:], math.Float32bits(scales[i*quant.FourBlock/block]))
	}
	return f, blocks
}

// open4 writes the tensors beside another one and opens them.
func open4(t testing.TB, f map[string]Tensor) (Source, error) {
	t.Helper()
	list := []Tensor{FromFloat32("v", []int{3}, []float32{1, 2, 3})}
	for suffix, x := range f {
		x.Name = "w" + suffix
		list = append(list, x)
	}
	path := filepath.Join(t.TempDir(), WeightsFile)
	if err := Write(path, list, nil); err != nil {
		t.Fatal(err)
	}
	src, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return Unpack4Bit(src)
}

// Every size of blocks, with scales in float32 and in 8 bits, whole and in pieces; rows that are not whole blocks, and an odd number of elements, are float32.
func TestUnpack4Bit(t *testing.T) {
	for _, shape := range [][]int{{1, 64}, {3, 192}, {5, 1024}, {300, 64}, {515, 128}, {1024, 1088}, {3, 32}, {7, 51}, {1, 1}} {
		for _, block := range []int{64, 128, 1024} {
			for _, nested := range []bool{false, true} {
				name := fmt.Sprintf("%v in blocks of %d, nested %v", shape, block, nested)
				f, blocks := file4(t, shape, block, nested)
				src, err := open4(t, f)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				infos := src.Infos()
				whole := shape[1]%quant.FourBlock == 0
				want := Info{"w", NF4, shape}
				if !whole {
					want.DType = F32
					values := make([]float32, len(blocks)/quant.FourBytes*quant.FourBlock)
					quant.NF4.Decode(values, blocks)
					blocks = FromFloat32("", nil, values[:shape[0]*shape[1]]).Data
				}
				if len(infos) != 2 || infos[0].Name != "v" || infos[1].Name != want.Name || infos[1].DType != want.DType || !slices.Equal(infos[1].Shape, shape) {
					t.Fatalf("%s: tensors %v", name, infos)
				}
				unit := quant.FourBytes
				if !whole {
					unit = 4
				}
				got := make([]byte, len(blocks))
				for _, span := range [][2]int{{0, len(blocks)}, {len(blocks) / unit / 3 * unit, len(blocks) / unit * 2 / 3 * unit}, {len(blocks) - unit, len(blocks)}} {
					clear(got)
					if err := src.Read(1, got[span[0]:span[1]], span[0]); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if !slices.Equal(got[span[0]:span[1]], blocks[span[0]:span[1]]) {
						t.Fatalf("%s: bytes %v differ", name, span)
					}
				}
				if src.Mapped(1) != nil || src.Mapped(0) == nil {
					t.Errorf("%s: mapped", name)
				}
			}
		}
	}
}

// What Pack4Bit lays out is read again as the same codes, their scales in 8 bits.
func TestPack4Bit(t *testing.T) {
	f, blocks := file4(t, []int{40, 512}, 64, true)
	list, err := Pack4Bit("w", []int{40, 512}, "bfloat16", func() ([]byte, error) { return blocks, nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Pack4Bit("w", []int{3, 50}, "bfloat16", nil); err == nil || !strings.Contains(err.Error(), "whole blocks") {
		t.Errorf("150 elements: %v", err)
	}
	if len(list) != len(f) {
		t.Errorf("%d tensors, want %d", len(list), len(f))
	}
	dir := filepath.Join(t.TempDir(), "dir")
	if err := WriteDeferred(dir, list, DefaultShardBytes, nil); err != nil {
		t.Fatal(err)
	}
	file, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	src, err := Unpack4Bit(file)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(blocks))
	if err := src.Read(0, got, 0); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(blocks); i += quant.FourBytes {
		a, b := math.Float32frombits(binary.LittleEndian.Uint32(got[i:])), math.Float32frombits(binary.LittleEndian.Uint32(blocks[i:]))
		if !slices.Equal(got[i+quant.FourScale:i+quant.FourBytes], blocks[i+quant.FourScale:i+quant.FourBytes]) || math.Abs(float64(a-b)) > 0.02*float64(b) {
			t.Fatalf("block %d: scale %v, want %v, or other codes", i/quant.FourBytes, a, b)
		}
	}
}

// A file that does not say a matrix whole and once is refused before anything is made of it.
func TestUnpack4BitHostile(t *testing.T) {
	state := func(text string) func(f map[string]Tensor) {
		return func(f map[string]Tensor) { f[stateMark+"nf4"] = Tensor{"", U8, []int{len(text)}, []byte(text)} }
	}
	replace := func(old, new string) func(f map[string]Tensor) {
		return func(f map[string]Tensor) {
			text := string(f[stateMark+"nf4"].Data)
			if !strings.Contains(text, old) {
				t.Fatalf("%s lacks %s", text, old)
			}
			state(strings.Replace(text, old, new, 1))(f)
		}
	}
	drop := func(suffix string) func(f map[string]Tensor) {
		return func(f map[string]Tensor) { delete(f, suffix) }
	}
	for want, change := range map[string]func(f map[string]Tensor){
		"no codes":                  drop(""),
		"absmax is missing":         drop(".absmax"),
		"quant_map is missing":      drop(".quant_map"),
		"nested_absmax is missing":  drop(".nested_absmax"),
		"nested_quant_map is miss":  drop(".nested_quant_map"),
		"quant_state: EOF":          state(""),
		"unknown field":             replace(`"dtype"`, `"other": 1, "dtype"`),
		"more than one value":       func(f map[string]Tensor) { state(string(f[stateMark+"nf4"].Data) + "{}")(f) },
		`quant_type "fp4"`:          replace(`"nf4"`, `"fp4"`),
		"blocksize 0":               replace(`"blocksize": 64`, `"blocksize": 0`),
		"blocksize -64":             replace(`"blocksize": 64`, `"blocksize": -64`),
		"blocksize 32":              replace(`"blocksize": 64`, `"blocksize": 32`),
		"blocksize 8192":            replace(`"blocksize": 64`, `"blocksize": 8192`),
		"needs 10 of U8":            replace(`"blocksize": 64`, `"blocksize": 128`),
		"without the other":         replace(`"nested_blocksize": 256, `, ""),
		"nested_blocksize 64":       replace(`"nested_blocksize": 256`, `"nested_blocksize": 64`),
		`256 of "float64"`:          replace(`"nested_dtype": "float32"`, `"nested_dtype": "float64"`),
		"cannot unmarshal number":   replace(`"nested_offset": `, `"nested_offset": 1e300, "nested_offset": 1`),
		"not that of a matrix":      replace("[20, 64]", "[20, 64, 1]"),
		"shape [0 64]":              replace("[20, 64]", "[0, 64]"),
		"shape [-20 -64]":           replace("[20, 64]", "[-20, -64]"),
		"shape [2000000000 9223372": replace("[20, 64]", "[2000000000, 9223372036854775807]"),
		"640 bytes of codes":        replace("[20, 64]", "[40, 64]"),
		"quant_state is U8 [70000]": state(strings.Repeat(" ", 70000)),
		"absmax is F32 [20]":        func(f map[string]Tensor) { f[".absmax"] = FromFloat32("", []int{20}, make([]float32, 20)) },
		"not that of nf4":           func(f map[string]Tensor) { f[".quant_map"] = FromFloat32("", []int{16}, make([]float32, 16)) },
		"nested_absmax is F32 [2]":  func(f map[string]Tensor) { f[".nested_absmax"] = FromFloat32("", []int{2}, make([]float32, 2)) },
		`quant_state "nf4.more"`:    func(f map[string]Tensor) { f[stateMark+"nf4.more"] = f[stateMark+"nf4"] },
		`quant_state "int8"`: func(f map[string]Tensor) {
			f[stateMark+"int8"] = f[stateMark+"nf4"]
			delete(f, stateMark+"nf4")
		},
	} {
		f, _ := file4(t, []int{20, 64}, 64, true)
		change(f)
		_, err := open4(t, f)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `tensor "w"`) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

// FuzzState4: no JSON makes the reader panic, and a matrix that passes can be read.
func FuzzState4(f *testing.F) {
	for _, nested := range []bool{false, true} {
		tensors, _ := file4(f, []int{20, 64}, 64, nested)
		f.Add(tensors[stateMark+"nf4"].Data, nested)
	}
	f.Fuzz(func(t *testing.T, state []byte, nested bool) {
		tensors, _ := file4(t, []int{20, 64}, 64, nested)
		tensors[stateMark+"nf4"] = Tensor{"", U8, []int{len(state)}, state}
		src, err := open4(t, tensors)
		if err != nil {
			return
		}
		for i, info := range src.Infos() {
			elements, size := info.DType.Block()
			if err := src.Read(i, make([]byte, info.Elements()/elements*size), 0); err != nil {
				t.Fatal(err)
			}
		}
	})
}
