#include "textflag.h"

// Tiles of eight rows of activations and sixteen of weights, with VNNI: VPDPBUSD adds to each lane, a row of weights, four products of
// unsigned and signed bytes. The four activations are one memory operand for all lanes.

#define ARGS \
	MOVQ out+0(FP), DI; \
	MOVQ blocks+8(FP), CX; \
	MOVQ code+16(FP), R8; \
	MOVQ d+24(FP), R9; \
	MOVQ aCode+56(FP), SI; \
	MOVQ aScale+64(FP), R12; \
	MOVQ aSum+72(FP), R13

// STEP multiplies four activations of each row, n bytes apart, with the weights W.
#define STEP(W, off, n) \
	VPDPBUSD.BCST (off)(SI), W, Z8; \
	VPDPBUSD.BCST (off+n)(SI), W, Z9; \
	VPDPBUSD.BCST (off+2*n)(SI), W, Z10; \
	VPDPBUSD.BCST (off+3*n)(SI), W, Z11; \
	VPDPBUSD.BCST (off+4*n)(SI), W, Z12; \
	VPDPBUSD.BCST (off+5*n)(SI), W, Z13; \
	VPDPBUSD.BCST (off+6*n)(SI), W, Z14; \
	VPDPBUSD.BCST (off+7*n)(SI), W, Z15

// PAIRS does the same with two sums of activations, at off, and pairs W.
#define PAIRS(W, off, n, A0, A1, A2, A3, A4, A5, A6, A7) \
	VPDPWSSD.BCST (off)(R13), W, A0; \
	VPDPWSSD.BCST (off+n)(R13), W, A1; \
	VPDPWSSD.BCST (off+2*n)(R13), W, A2; \
	VPDPWSSD.BCST (off+3*n)(R13), W, A3; \
	VPDPWSSD.BCST (off+4*n)(R13), W, A4; \
	VPDPWSSD.BCST (off+5*n)(R13), W, A5; \
	VPDPWSSD.BCST (off+6*n)(R13), W, A6; \
	VPDPWSSD.BCST (off+7*n)(R13), W, A7

#define ZERO8(A0, A1, A2, A3, A4, A5, A6, A7) \
	VPXORD A0, A0, A0; \
	VPXORD A1, A1, A1; \
	VPXORD A2, A2, A2; \
	VPXORD A3, A3, A3; \
	VPXORD A4, A4, A4; \
	VPXORD A5, A5, A5; \
	VPXORD A6, A6, A6; \
	VPXORD A7, A7, A7

// func tile512(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer)
// Blocks of 32; aSum is Activations.start.
TEXT ·tile512(SB), NOSPLIT, $0-80
	ARGS
	ZERO8(Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)
loop:
	VMOVDQU32 (R8), Z0
	VMOVDQU32 64(R8), Z1
	VMOVDQU32 128(R8), Z2
	VMOVDQU32 192(R8), Z3
	VMOVDQU32 256(R8), Z4
	VMOVDQU32 320(R8), Z5
	VMOVDQU32 384(R8), Z6
	VMOVDQU32 448(R8), Z7
	VPBROADCASTD (R13), Z8
	VPBROADCASTD 4(R13), Z9
	VPBROADCASTD 8(R13), Z10
	VPBROADCASTD 12(R13), Z11
	VPBROADCASTD 16(R13), Z12
	VPBROADCASTD 20(R13), Z13
	VPBROADCASTD 24(R13), Z14
	VPBROADCASTD 28(R13), Z15
	STEP(Z0, 0, 32)
	STEP(Z1, 4, 32)
	STEP(Z2, 8, 32)
	STEP(Z3, 12, 32)
	STEP(Z4, 16, 32)
	STEP(Z5, 20, 32)
	STEP(Z6, 24, 32)
	STEP(Z7, 28, 32)
	VMOVUPS (R9), Z24
#define JOIN(t, S, ACC) \
	VCVTDQ2PS S, S; \
	VMULPS Z24, S, S; \
	VFMADD231PS.BCST (4*t)(R12), S, ACC
	JOIN(0, Z8, Z16)
	JOIN(1, Z9, Z17)
	JOIN(2, Z10, Z18)
	JOIN(3, Z11, Z19)
	JOIN(4, Z12, Z20)
	JOIN(5, Z13, Z21)
	JOIN(6, Z14, Z22)
	JOIN(7, Z15, Z23)
#undef JOIN
	ADDQ $512, R8
	ADDQ $64, R9
	ADDQ $256, SI
	ADDQ $32, R12
	ADDQ $32, R13
	DECQ CX
	JNE loop
	VMOVUPS Z16, (DI)
	VMOVUPS Z17, 64(DI)
	VMOVUPS Z18, 128(DI)
	VMOVUPS Z19, 192(DI)
	VMOVUPS Z20, 256(DI)
	VMOVUPS Z21, 320(DI)
	VMOVUPS Z22, 384(DI)
	VMOVUPS Z23, 448(DI)
	VZEROUPPER
	RET

// SCALED adds scales Z24 times the sums of a sub-block to the sums of the block.
#define SCALED(S, ACC) \
	VPMULLD Z24, S, S; \
	VPADDD S, ACC, ACC

#define SCALED8 \
	VMOVDQU32 (R10), Z24; \
	SCALED(Z8, Z16); \
	SCALED(Z9, Z17); \
	SCALED(Z10, Z18); \
	SCALED(Z11, Z19); \
	SCALED(Z12, Z20); \
	SCALED(Z13, Z21); \
	SCALED(Z14, Z22); \
	SCALED(Z15, Z23)

// CLEAR zeroes the result: between blocks of 256 it lies in memory.
#define CLEAR \
	VPXORD Z0, Z0, Z0; \
	VMOVUPS Z0, (DI); \
	VMOVUPS Z0, 64(DI); \
	VMOVUPS Z0, 128(DI); \
	VMOVUPS Z0, 192(DI); \
	VMOVUPS Z0, 256(DI); \
	VMOVUPS Z0, 320(DI); \
	VMOVUPS Z0, 384(DI); \
	VMOVUPS Z0, 448(DI); \
	MOVQ scale+40(FP), R10; \
	MOVQ pair+48(FP), R11

// func tileMin512(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer)
// Blocks of 256 with sub-blocks of 32 and minima; aSum is Activations.sum.
TEXT ·tileMin512(SB), NOSPLIT, $0-80
	ARGS
	MOVQ dMin+32(FP), DX
	CLEAR
loop:
	ZERO8(Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)
	MOVQ $8, BX
sub:
	VMOVDQU32 (R8), Z0
	VMOVDQU32 64(R8), Z1
	VMOVDQU32 128(R8), Z2
	VMOVDQU32 192(R8), Z3
	VMOVDQU32 256(R8), Z4
	VMOVDQU32 320(R8), Z5
	VMOVDQU32 384(R8), Z6
	VMOVDQU32 448(R8), Z7
	ZERO8(Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	STEP(Z0, 0, 256)
	STEP(Z1, 4, 256)
	STEP(Z2, 8, 256)
	STEP(Z3, 12, 256)
	STEP(Z4, 16, 256)
	STEP(Z5, 20, 256)
	STEP(Z6, 24, 256)
	STEP(Z7, 28, 256)
	SCALED8
	ADDQ $512, R8
	ADDQ $32, SI
	ADDQ $64, R10
	DECQ BX
	JNE sub
	VMOVDQU32 (R11), Z0
	VMOVDQU32 64(R11), Z1
	VMOVDQU32 128(R11), Z2
	VMOVDQU32 192(R11), Z3
	ZERO8(Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	PAIRS(Z0, 0, 16, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	PAIRS(Z1, 4, 16, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	PAIRS(Z2, 8, 16, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	PAIRS(Z3, 12, 16, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	VMOVUPS (R9), Z24
	VMOVUPS (DX), Z25
#define JOIN(t, S, M) \
	VCVTDQ2PS S, S; \
	VMULPS Z24, S, S; \
	VCVTDQ2PS M, M; \
	VFNMADD231PS Z25, M, S; \
	VMOVUPS (64*t)(DI), M; \
	VFMADD231PS.BCST (4*t)(R12), S, M; \
	VMOVUPS M, (64*t)(DI)
	JOIN(0, Z16, Z8)
	JOIN(1, Z17, Z9)
	JOIN(2, Z18, Z10)
	JOIN(3, Z19, Z11)
	JOIN(4, Z20, Z12)
	JOIN(5, Z21, Z13)
	JOIN(6, Z22, Z14)
	JOIN(7, Z23, Z15)
#undef JOIN
	ADDQ $64, R9
	ADDQ $64, DX
	ADDQ $256, R11
	ADDQ $1792, SI
	ADDQ $32, R12
	ADDQ $128, R13
	DECQ CX
	JNE loop
	VZEROUPPER
	RET

// func tileSub512(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer)
// Blocks of 256 with sub-blocks of 16, without minima; aSum is Activations.sum.
TEXT ·tileSub512(SB), NOSPLIT, $0-80
	ARGS
	CLEAR
loop:
	ZERO8(Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)
	MOVQ $16, BX
sub:
	VMOVDQU32 (R8), Z0
	VMOVDQU32 64(R8), Z1
	VMOVDQU32 128(R8), Z2
	VMOVDQU32 192(R8), Z3
	ZERO8(Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	STEP(Z0, 0, 256)
	STEP(Z1, 4, 256)
	STEP(Z2, 8, 256)
	STEP(Z3, 12, 256)
	SCALED8
	ADDQ $256, R8
	ADDQ $16, SI
	ADDQ $64, R10
	DECQ BX
	JNE sub
#define PAIR(p) \
	VMOVDQU32 (64*p)(R11), Z0; \
	PAIRS(Z0, (4*p), 32, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)
	PAIR(0)
	PAIR(1)
	PAIR(2)
	PAIR(3)
	PAIR(4)
	PAIR(5)
	PAIR(6)
	PAIR(7)
#undef PAIR
	VMOVUPS (R9), Z24
#define JOIN(t, S) \
	VCVTDQ2PS S, S; \
	VMULPS Z24, S, S; \
	VMOVUPS (64*t)(DI), Z0; \
	VFMADD231PS.BCST (4*t)(R12), S, Z0; \
	VMOVUPS Z0, (64*t)(DI)
	JOIN(0, Z16)
	JOIN(1, Z17)
	JOIN(2, Z18)
	JOIN(3, Z19)
	JOIN(4, Z20)
	JOIN(5, Z21)
	JOIN(6, Z22)
	JOIN(7, Z23)
#undef JOIN
	ADDQ $64, R9
	ADDQ $512, R11
	ADDQ $1792, SI
	ADDQ $32, R12
	ADDQ $256, R13
	DECQ CX
	JNE loop
	VZEROUPPER
	RET
