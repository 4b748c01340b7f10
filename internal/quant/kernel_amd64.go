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
func halves16(dst *float32, w *byte, stride, step, blocks int)

//go:noescape
func scalesK(scale *int32, pair *int16, w *byte, step, blocks int)

//go:noescape
func scales6(scale *int32, pair *int16, w *byte, blocks int)

//go:noescape
func tile512(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer)

//go:noescape
func tileMin512(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer)

//go:noescape
func tileSub512(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer)

//go:noescape
func tileQ8_0(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer)

//go:noescape
func tileQ4_0(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer)

//go:noescape
func tileQ4_K(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer)

//go:noescape
func tileQ5_K(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer)

//go:noescape
func tileQ6_K(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer)

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
		tile:  [Formats]tileFunc{Q8_0: tileQ8_0, Q4_0: tileQ4_0, Q4_K: tileQ4_K, Q5_K: tileQ5_K, Q6_K: tileQ6_K},
	}
	list := []*Kernel{&avx2}
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512VNNI {
		avx512 := avx2
		avx512.name = "avx512"
		avx512.tile = [Formats]tileFunc{Q8_0: tile512, Q4_0: tile512, Q4_K: tileMin512, Q5_K: tileMin512, Q6_K: tileSub512}
		avx512.int8 = &int8Kernel{int8Magnitude512, int8Codes512, int8Tile512}
		list = append(list, &avx512)
	}
	return list
}
