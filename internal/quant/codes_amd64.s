#include "textflag.h"

// The codes of a row of weights as bytes, one after the other. AVX2.

// MASK sets all bytes of Y to b.
#define MASK(b, X, Y) \
	MOVL $b, AX; \
	VMOVD AX, X; \
	VPBROADCASTD X, Y

#define ARGS \
	MOVQ dst+0(FP), DI; \
	MOVQ w+8(FP), SI; \
	MOVQ blocks+16(FP), CX

// func codesQ8_0(dst *uint8, w *byte, blocks int)
TEXT ·codesQ8_0(SB), NOSPLIT, $0-24
	ARGS
	MASK(0x80808080, X0, Y0)
loop:
	VPXOR 2(SI), Y0, Y1
	VMOVDQU Y1, (DI)
	ADDQ $34, SI
	ADDQ $32, DI
	DECQ CX
	JNE loop
	VZEROUPPER
	RET

// func codesQ4_0(dst *uint8, w *byte, blocks int)
TEXT ·codesQ4_0(SB), NOSPLIT, $0-24
	ARGS
	MASK(0x0f0f0f0f, X0, Y0)
loop:
	VMOVDQU 2(SI), X1
	VPSRLW $4, X1, X2
	VINSERTI128 $1, X2, Y1, Y1
	VPAND Y0, Y1, Y1
	VMOVDQU Y1, (DI)
	ADDQ $18, SI
	ADDQ $32, DI
	DECQ CX
	JNE loop
	VZEROUPPER
	RET

// func codesQ4_K(dst *uint8, w *byte, blocks int)
TEXT ·codesQ4_K(SB), NOSPLIT, $0-24
	ARGS
	MASK(0x0f0f0f0f, X0, Y0)
loop:
#define PART(j) \
	VMOVDQU (16+32*j)(SI), Y1; \
	VPAND Y0, Y1, Y2; \
	VPSRLW $4, Y1, Y1; \
	VPAND Y0, Y1, Y1; \
	VMOVDQU Y2, (64*j)(DI); \
	VMOVDQU Y1, (64*j+32)(DI)
	PART(0)
	PART(1)
	PART(2)
	PART(3)
#undef PART
	ADDQ $144, SI
	ADDQ $256, DI
	DECQ CX
	JNE loop
	VZEROUPPER
	RET

// func codesQ5_K(dst *uint8, w *byte, blocks int)
TEXT ·codesQ5_K(SB), NOSPLIT, $0-24
	ARGS
	MASK(0x0f0f0f0f, X0, Y0)
	MASK(0x10101010, X3, Y3)
loop:
	VMOVDQU 16(SI), Y4
#define PART(j, SHIFT0, n0, SHIFT1, n1) \
	VMOVDQU (48+32*j)(SI), Y1; \
	VPAND Y0, Y1, Y2; \
	VPSRLW $4, Y1, Y1; \
	VPAND Y0, Y1, Y1; \
	SHIFT0 $n0, Y4, Y5; \
	VPAND Y3, Y5, Y5; \
	VPOR Y5, Y2, Y2; \
	SHIFT1 $n1, Y4, Y5; \
	VPAND Y3, Y5, Y5; \
	VPOR Y5, Y1, Y1; \
	VMOVDQU Y2, (64*j)(DI); \
	VMOVDQU Y1, (64*j+32)(DI)
	PART(0, VPSLLW, 4, VPSLLW, 3)
	PART(1, VPSLLW, 2, VPSLLW, 1)
	PART(2, VPSLLW, 0, VPSRLW, 1)
	PART(3, VPSRLW, 2, VPSRLW, 3)
#undef PART
	ADDQ $176, SI
	ADDQ $256, DI
	DECQ CX
	JNE loop
	VZEROUPPER
	RET

// func codesQ6_K(dst *uint8, w *byte, blocks int)
TEXT ·codesQ6_K(SB), NOSPLIT, $0-24
	ARGS
	MASK(0x0f0f0f0f, X0, Y0)
	MASK(0x30303030, X3, Y3)
loop:
#define HALF(h) \
	VMOVDQU (64*h)(SI), Y1; \
	VMOVDQU (64*h+32)(SI), Y2; \
	VMOVDQU (128+32*h)(SI), Y4; \
	VPAND Y0, Y1, Y5; \
	VPSLLW $4, Y4, Y6; \
	VPAND Y3, Y6, Y6; \
	VPOR Y6, Y5, Y5; \
	VMOVDQU Y5, (128*h)(DI); \
	VPAND Y0, Y2, Y5; \
	VPSLLW $2, Y4, Y6; \
	VPAND Y3, Y6, Y6; \
	VPOR Y6, Y5, Y5; \
	VMOVDQU Y5, (128*h+32)(DI); \
	VPSRLW $4, Y1, Y1; \
	VPAND Y0, Y1, Y1; \
	VPAND Y3, Y4, Y6; \
	VPOR Y6, Y1, Y1; \
	VMOVDQU Y1, (128*h+64)(DI); \
	VPSRLW $4, Y2, Y2; \
	VPAND Y0, Y2, Y2; \
	VPSRLW $2, Y4, Y6; \
	VPAND Y3, Y6, Y6; \
	VPOR Y6, Y2, Y2; \
	VMOVDQU Y2, (128*h+96)(DI)
	HALF(0)
	HALF(1)
#undef HALF
	ADDQ $210, SI
	ADDQ $256, DI
	DECQ CX
	JNE loop
	VZEROUPPER
	RET

// func interleave(dst, src *uint8, stride, chunks int)
// dst [chunks, 8, 16, 4] from 16 rows of chunks·32 bytes, stride apart.
TEXT ·interleave(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ stride+16(FP), DX
	MOVQ chunks+24(FP), CX
	LEAQ (DX)(DX*2), BX
chunk:
	MOVQ SI, R8
	XORQ R9, R9
half: // eight rows: a transpose of 8 x 8 double words
	LEAQ (R8)(DX*4), R10
	VMOVDQU (R8), Y0
	VMOVDQU (R8)(DX*1), Y1
	VMOVDQU (R8)(DX*2), Y2
	VMOVDQU (R8)(BX*1), Y3
	VMOVDQU (R10), Y4
	VMOVDQU (R10)(DX*1), Y5
	VMOVDQU (R10)(DX*2), Y6
	VMOVDQU (R10)(BX*1), Y7
	VPUNPCKLDQ Y1, Y0, Y8
	VPUNPCKHDQ Y1, Y0, Y9
	VPUNPCKLDQ Y3, Y2, Y10
	VPUNPCKHDQ Y3, Y2, Y11
	VPUNPCKLDQ Y5, Y4, Y12
	VPUNPCKHDQ Y5, Y4, Y13
	VPUNPCKLDQ Y7, Y6, Y14
	VPUNPCKHDQ Y7, Y6, Y15
	VPUNPCKLQDQ Y10, Y8, Y0
	VPUNPCKHQDQ Y10, Y8, Y1
	VPUNPCKLQDQ Y11, Y9, Y2
	VPUNPCKHQDQ Y11, Y9, Y3
	VPUNPCKLQDQ Y14, Y12, Y4
	VPUNPCKHQDQ Y14, Y12, Y5
	VPUNPCKLQDQ Y15, Y13, Y6
	VPUNPCKHQDQ Y15, Y13, Y7
	VPERM2I128 $0x20, Y4, Y0, Y8
	VPERM2I128 $0x20, Y5, Y1, Y9
	VPERM2I128 $0x20, Y6, Y2, Y10
	VPERM2I128 $0x20, Y7, Y3, Y11
	VPERM2I128 $0x31, Y4, Y0, Y12
	VPERM2I128 $0x31, Y5, Y1, Y13
	VPERM2I128 $0x31, Y6, Y2, Y14
	VPERM2I128 $0x31, Y7, Y3, Y15
	VMOVDQU Y8, (DI)(R9*1)
	VMOVDQU Y9, 64(DI)(R9*1)
	VMOVDQU Y10, 128(DI)(R9*1)
	VMOVDQU Y11, 192(DI)(R9*1)
	VMOVDQU Y12, 256(DI)(R9*1)
	VMOVDQU Y13, 320(DI)(R9*1)
	VMOVDQU Y14, 384(DI)(R9*1)
	VMOVDQU Y15, 448(DI)(R9*1)
	LEAQ (R8)(DX*8), R8
	ADDQ $32, R9
	CMPQ R9, $64
	JNE half
	ADDQ $32, SI
	ADDQ $512, DI
	DECQ CX
	JNE chunk
	VZEROUPPER
	RET
