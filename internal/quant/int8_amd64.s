#include "textflag.h"

// Products of 8 bits with one scale for each row: see int8.go. AVX-512 with VNNI.

// func int8Magnitude512(x *float32, n int) uint32
TEXT ·int8Magnitude512(SB), NOSPLIT, $0-20
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	MOVL $0x7fffffff, AX
	VPBROADCASTD AX, Z3
	VPXORD Z0, Z0, Z0
loop:
	VPANDD (SI), Z3, Z1
	VPMAXUD Z1, Z0, Z0
	ADDQ $64, SI
	SUBQ $16, CX
	JNE loop
	VEXTRACTI64X4 $1, Z0, Y1
	VPMAXUD Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPMAXUD X1, X0, X0
	VPSHUFD $0x4e, X0, X1
	VPMAXUD X1, X0, X0
	VPSHUFD $0xb1, X0, X1
	VPMAXUD X1, X0, X0
	VMOVD X0, AX
	MOVL AX, ret+16(FP)
	VZEROUPPER
	RET

// func int8Codes512(code *int8, x *float32, n int, inverse float32) int32
// With inverse 0 the codes are 0, also of infinities and NaN.
TEXT ·int8Codes512(SB), NOSPLIT, $0-36
	MOVQ code+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS inverse+24(FP), Z2
	VPXORD Z0, Z0, Z0
	VPTESTMD Z2, Z2, K1
loop:
	VMULPS (SI), Z2, Z1
	VCVTPS2DQ.Z Z1, K1, Z1
	VPADDD Z1, Z0, Z0
	VPMOVDB Z1, (DI)
	ADDQ $64, SI
	ADDQ $16, DI
	SUBQ $16, CX
	JNE loop
	VEXTRACTI64X4 $1, Z0, Y1
	VPADDD Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPADDD X1, X0, X0
	VPSHUFD $0x4e, X0, X1
	VPADDD X1, X0, X0
	VPSHUFD $0xb1, X0, X1
	VPADDD X1, X0, X0
	VMOVD X0, AX
	MOVL AX, ret+32(FP)
	VZEROUPPER
	RET

// START sets two sums to what a row begins with.
#define START(i, A, B) \
	VPBROADCASTD (4*i)(R13), A; \
	VMOVDQA32 A, B

// ROW multiplies four numbers of a row, at M, with both halves of the panel.
#define ROW(M, T, A, B) \
	VPBROADCASTD M, T; \
	VPDPBUSD T, Z0, A; \
	VPDPBUSD T, Z1, B

// STEP takes all rows' numbers at off with 128 bytes of the panel.
#define STEP(off, at) \
	VMOVDQU32 at(R8), Z0; \
	VMOVDQU32 (at+64)(R8), Z1; \
	ROW(off(SI), Z2, Z8, Z9); \
	ROW(off(SI)(R12*1), Z3, Z10, Z11); \
	ROW(off(SI)(R12*2), Z4, Z12, Z13); \
	ROW(off(R9), Z5, Z14, Z15); \
	ROW(off(R9)(R12*1), Z6, Z16, Z17); \
	ROW(off(R9)(R12*2), Z7, Z18, Z19); \
	ROW(off(R10), Z2, Z20, Z21); \
	ROW(off(R10)(R12*1), Z3, Z22, Z23); \
	ROW(off(R10)(R12*2), Z4, Z24, Z25); \
	ROW(off(R11), Z5, Z26, Z27); \
	ROW(off(R11)(R12*1), Z6, Z28, Z29); \
	ROW(off(R11)(R12*2), Z7, Z30, Z31)

// END stores a row of the result.
#define END(i, A, B) \
	VCVTDQ2PS A, A; \
	VCVTDQ2PS B, B; \
	VMULPS.BCST (4*i)(R13), A, A; \
	VMULPS.BCST (4*i)(R13), B, B; \
	VFMADD213PS Z2, Z0, A; \
	VFMADD213PS Z3, Z1, B; \
	VMOVUPS A, (DI); \
	VMOVUPS B, 64(DI); \
	ADDQ AX, DI

// func int8Tile512(c *float32, ldc, depth int, w *uint8, a *int8, start *int32, aScale, wScale, bias *float32)
TEXT ·int8Tile512(SB), NOSPLIT, $0-72
	MOVQ c+0(FP), DI
	MOVQ ldc+8(FP), AX
	MOVQ depth+16(FP), CX
	MOVQ w+24(FP), R8
	MOVQ a+32(FP), SI
	MOVQ start+40(FP), R13
	MOVQ CX, R12
	LEAQ (R12)(R12*2), BX
	LEAQ (SI)(BX*1), R9
	LEAQ (R9)(BX*1), R10
	LEAQ (R10)(BX*1), R11
	START(0, Z8, Z9)
	START(1, Z10, Z11)
	START(2, Z12, Z13)
	START(3, Z14, Z15)
	START(4, Z16, Z17)
	START(5, Z18, Z19)
	START(6, Z20, Z21)
	START(7, Z22, Z23)
	START(8, Z24, Z25)
	START(9, Z26, Z27)
	START(10, Z28, Z29)
	START(11, Z30, Z31)
loop:
	STEP(0, 0)
	STEP(4, 128)
	STEP(8, 256)
	STEP(12, 384)
	ADDQ $16, SI
	ADDQ $16, R9
	ADDQ $16, R10
	ADDQ $16, R11
	ADDQ $512, R8
	SUBQ $16, CX
	JNE loop
	MOVQ aScale+48(FP), R13
	MOVQ wScale+56(FP), R8
	MOVQ bias+64(FP), R9
	VMOVUPS (R8), Z0
	VMOVUPS 64(R8), Z1
	VMOVUPS (R9), Z2
	VMOVUPS 64(R9), Z3
	END(0, Z8, Z9)
	END(1, Z10, Z11)
	END(2, Z12, Z13)
	END(3, Z14, Z15)
	END(4, Z16, Z17)
	END(5, Z18, Z19)
	END(6, Z20, Z21)
	END(7, Z22, Z23)
	END(8, Z24, Z25)
	END(9, Z26, Z27)
	END(10, Z28, Z29)
	END(11, Z30, Z31)
	VZEROUPPER
	RET
