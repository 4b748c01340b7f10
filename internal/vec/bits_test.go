package vec

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSameBits: avx2 and neon, on whatever machine, give the same bits, in sums too.
func TestSameBits(t *testing.T) {
	want := map[string]uint32{ // checksums of the results of all lengths
		"Exp": 0xe3639ac8, "Tanh": 0x19ab86f3, "Sigmoid": 0x192bc63c, "GELU": 0x365097e6, "GELUGrad": 0x42dbeb45,
		"GELUTanh": 0x40186816, "GELUTanhGrad": 0xc7b3a78e, "ReLU": 0xa5cbd685, "ReLUGrad": 0x99236ae7, "SiLU": 0xbb5769d3,
		"SiLUGrad": 0x6ad96498, "SwiGLU": 0xeeae7e6c, "SwiGLUGrad": 0x236bbfdc, "Add": 0xafcf9294, "AddTo": 0x055dae7c,
		"Sub": 0x189c711a, "Mul": 0xfa330960, "Scale": 0x46c808c4, "Axpy": 0xfa7932b5, "Fill": 0xe87fc623,
		"ExpSum": 0xbe72c8a5, "AdamW": 0xe6f5fb8b, "row Sum": 0x1e03fb49, "row Dot": 0x97bd3ac9, "row Max": 0x4029df27,
		"row ExpSum": 0x1a7dfdc4, "row Softmax": 0xc4a0b1c2, "row SoftmaxGrad": 0x4e038ba9, "row LayerNorm": 0x07f4af6a,
		"row LayerNorm without bias": 0x69fdb144, "row LayerNormGrad": 0xf5586c4a,
		"row LayerNormGrad without bias": 0xe0c0a907, "row RMSNorm": 0xd469a1c3, "row RMSNormGrad": 0x5afeeef0,
		"row RotateHalf": 0xb0f36ca7, "row RotateHalfInverse": 0xf99ee263, "row RotatePairs": 0x7b051223,
		"row RotatePairsInverse": 0x7dc397c5, "SumSquares": 0xf82843a5,
	}
	before := Variant()
	t.Cleanup(func() {
		if err := Use(before); err != nil {
			t.Fatal(err)
		}
	})
	for _, variant := range []string{"avx2", "neon"} {
		if !slices.Contains(Variants(), variant) {
			continue
		}
		if err := Use(variant); err != nil {
			t.Fatal(err)
		}
		got := map[string]uint32{}
		for _, f := range elementwises {
			got[f.name] = checksum(f.outs, f.ins, f.span, true, func(o, in [][]float32) []float64 { f.run(o, in); return nil })
		}
		for _, f := range rows {
			got["row "+f.name] = checksum(f.outs, f.ins, 1, f.empty, f.run)
		}
		got["SumSquares"] = checksum(0, 1, 1, true, func(_, in [][]float32) []float64 { return []float64{SumSquares(in[0])} })
		for name, sum := range got {
			if sum != want[name] {
				t.Errorf("%s: %q: %#08x, want %#08x", variant, name, sum, want[name])
			}
		}
	}
}

// checksum is that of the bits of all outputs and results of f on rows of all lengths, the inputs within two spans.
func checksum(outs, ins int, span float64, empty bool, f func(o, in [][]float32) []float64) uint32 {
	r := rand.New(rand.NewPCG(13, 14))
	var bits []byte
	for _, n := range lengths() {
		args := make([][]float32, ins+outs)
		for j := range args {
			args[j] = make([]float32, n)
			for i := range args[j] {
				args[j][i] = float32(float64(int32(r.Uint32())) * 0x1p-30 * span)
			}
		}
		if n == 0 && !empty {
			continue
		}
		for _, v := range f(args[ins:], args[:ins]) {
			bits = binary.LittleEndian.AppendUint64(bits, math.Float64bits(v))
		}
		for _, y := range args[ins:] {
			for _, v := range y {
				bits = binary.LittleEndian.AppendUint32(bits, math.Float32bits(v))
			}
		}
	}
	return crc32.ChecksumIEEE(bits)
}
