package quant

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:noescape
func dotQ8_0(y *float32, w *byte, stride, rows, blocks int, code *int8, scale *float32, sum unsafe.Pointer, codeStep, scaleStep, sumStep int)

//go:noescape
func dotQ4_0(y *float32, w *byte, stride, rows, blocks int, code *int8, scale *float32, sum unsafe.Pointer, codeStep, scaleStep, sumStep int)

//go:noescape
func dotQ4_K(y *float32, w *byte, stride, rows, blocks int, code *int8, scale *float32, sum unsafe.Pointer, codeStep, scaleStep, sumStep int)

//go:noescape
func dotQ5_K(y *float32, w *byte, stride, rows, blocks int, code *int8, scale *float32, sum unsafe.Pointer, codeStep, scaleStep, sumStep int)

//go:noescape
func dotQ6_K(y *float32, w *byte, stride, rows, blocks int, code *int8, scale *float32, sum unsafe.Pointer, codeStep, scaleStep, sumStep int)

//go:noescape
func codesQ8_0(dst *uint8, w *byte, blocks int)

//go:noescape
func codesQ4_0(dst *uint8, w *byte, blocks int)

//go:noescape
func codesQ4_K(dst *uint8, w *byte, blocks int)

//go:noescape
func codesQ5_K(dst *uint8, w *byte, blocks int)

//go:noescape
func codesQ6_K(dst *uint8, w *byte, blocks int)

//go:noescape
func interleave(dst, src *uint8, stride, chunks int)

//go:noescape
func halves16(dst *float32, w *byte, stream, row, step, blocks int)

//go:noescape
func scalesK(scale *int32, pair *int16, w *byte, step, blocks int)

//go:noescape
func scales6(scale *int32, pair *int16, w *byte, blocks int)

//go:noescape
func tile2(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tile3(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tile4(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tile8(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileMin1(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileMin2(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileMin3(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileMin4(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileMin8(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileNibble1(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileNibble2(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileNibble3(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileNibble4(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileNibble8(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileSub1(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileSub2(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileSub3(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileSub4(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileSub8(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func panelQ8_0(code *uint8, d, dMin *float32, scale *int32, pair *int16, w *byte, stream, row, ahead, blocks int)

//go:noescape
func panelQ4_0(code *uint8, d, dMin *float32, scale *int32, pair *int16, w *byte, stream, row, ahead, blocks int)

//go:noescape
func panelQ4_K(code *uint8, d, dMin *float32, scale *int32, pair *int16, w *byte, stream, row, ahead, blocks int)

//go:noescape
func panelQ5_K(code *uint8, d, dMin *float32, scale *int32, pair *int16, w *byte, stream, row, ahead, blocks int)

//go:noescape
func panelQ6_K(code *uint8, d, dMin *float32, scale *int32, pair *int16, w *byte, stream, row, ahead, blocks int)

//go:noescape
func tileQ8_0(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileQ4_0(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileQ4_K(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileQ5_K(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func tileQ6_K(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

//go:noescape
func quantize32(code *int8, scale *float32, sum *int32, x *float32, blocks, codeStep, slotStep int, bias int32)

//go:noescape
func quantize256(code *int8, scale *float32, sum *int16, x *float32, blocks, codeStep, scaleStep, sumStep int, sixteens bool)

//go:noescape
func int8Magnitude512(x *float32, n int) uint32

//go:noescape
func int8Codes512(code *int8, x *float32, n int, inverse float32) int32

//go:noescape
func int8Tile512(c *float32, ldc, depth int, w *uint8, a *int8, start *int32, aScale, wScale, bias *float32)

//go:noescape
func scan512(dst *float32, code *uint8, stride, rows, n int, hi, lo *int8, hi0, lo0 int32, apart int)

//go:noescape
func scan256(dst *float32, code *uint8, stride, rows, n int, hi, lo *int8, hi0, lo0 int32, apart int)

func (a *Activations) quantizeAVX2(i int, x []float32) {
	if a.blocks == 0 {
		return
	}
	s, at := a.format.shape(), a.slot(i, 0)
	code, scale, step := &a.code[at*s.elements], &a.scale[at], a.group*s.elements
	if s.elements == s.sub {
		quantize32(code, scale, &a.start[at], &x[0], a.blocks, step, 4*a.group, s.bias)
	} else {
		quantize256(code, scale, &a.sum[at*s.subs()], &x[0], a.blocks, step, 4*a.group, 2*s.subs()*a.group, s.sub == 16)
	}
}

// simdKernels lists the variants that this CPU can run, slowest first.
func simdKernels() []*Kernel {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA || !cpu.X86.HasF16C {
		return nil
	}
	avx2 := Kernel{
		name: "avx2", quantize: (*Activations).quantizeAVX2,
		dot:   [Formats]dotFunc{Q8_0: dotQ8_0, Q4_0: dotQ4_0, Q4_K: dotQ4_K, Q5_K: dotQ5_K, Q6_K: dotQ6_K},
		codes: [Formats]codesFunc{Q8_0: codesQ8_0, Q4_0: codesQ4_0, Q4_K: codesQ4_K, Q5_K: codesQ5_K, Q6_K: codesQ6_K},
		tile:  [Formats]tiles{Q8_0: {8: tileQ8_0}, Q4_0: {8: tileQ4_0}, Q4_K: {8: tileQ4_K}, Q5_K: {8: tileQ5_K}, Q6_K: {8: tileQ6_K}},
		scan:  scan256,
	}
	list := []*Kernel{&avx2}
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VNNI {
		avx512 := avx2
		avx512.name = "avx512"
		avx512.scatter = scatter512
		avx512.panel = [Formats]panelFunc{Q8_0: panelQ8_0, Q4_0: panelQ4_0, Q4_K: panelQ4_K, Q5_K: panelQ5_K, Q6_K: panelQ6_K}
		of32 := tiles{2: tile2, 3: tile3, 4: tile4, 8: tile8} // one row of activations is faster on the stored bytes
		nibbles := tiles{1: tileNibble1, 2: tileNibble2, 3: tileNibble3, 4: tileNibble4, 8: tileNibble8}
		minima := tiles{1: tileMin1, 2: tileMin2, 3: tileMin3, 4: tileMin4, 8: tileMin8}
		of16 := tiles{1: tileSub1, 2: tileSub2, 3: tileSub3, 4: tileSub4, 8: tileSub8}
		avx512.tile = [Formats]tiles{Q8_0: of32, Q4_0: of32, Q4_K: nibbles, Q5_K: minima, Q6_K: of16}
		avx512.scan = scan512
		avx512.int8 = &int8Kernel{int8Magnitude512, int8Codes512, int8Tile512}
		list = append(list, &avx512)
	}
	return list
}

//go:noescape
func scatter512(c *float32, ldc, stream int, out *float32, rows int)
