#include "textflag.h"

// Tiles of one to four or eight rows of activations and sixteen of weights, with VNNI: VPDPBUSD adds to each lane, a row of weights, four products of
// unsigned and signed bytes. The four activations are one memory operand for all lanes.

#define ARGS \
	MOVQ out+0(FP), DI; \
	MOVQ blocks+8(FP), CX; \
	MOVQ code+16(FP), R8; \
	MOVQ d+24(FP), R9; \
	MOVQ dMin+32(FP), DX; \
	MOVQ scale+40(FP), R10; \
	MOVQ pair+48(FP), R11; \
	MOVQ aCode+56(FP), SI; \
	MOVQ aScale+64(FP), R12; \
	MOVQ aSum+72(FP), R13

// AHEAD begins, and FETCH goes on with, asking for a line of each of four streams of weights: AX in the first, R14 and R15 once and three times the bytes between them.
#define AHEAD \
	MOVQ w+80(FP), AX; \
	ADDQ ahead+88(FP), AX; \
	MOVQ stream+96(FP), R14; \
	LEAQ (R14)(R14*2), R15
#define FETCH \
	CMPQ step+104(FP), $0; \
	JEQ fetched; \
	PREFETCHT1 (AX); \
	PREFETCHT1 (AX)(R14*1); \
	PREFETCHT1 (AX)(R14*2); \
	PREFETCHT1 (AX)(R15*1); \
	ADDQ step+104(FP), AX; \
fetched:

// EACHn does OP for n rows t of activations, with a register S for a sum and ACC for another.
#define EACH1(OP, a, b, c) \
	OP(a, b, c, 0, Z8, Z16)
#define EACH2(OP, a, b, c) \
	EACH1(OP, a, b, c); \
	OP(a, b, c, 1, Z9, Z17)
#define EACH3(OP, a, b, c) \
	EACH2(OP, a, b, c); \
	OP(a, b, c, 2, Z10, Z18)
#define EACH4(OP, a, b, c) \
	EACH3(OP, a, b, c); \
	OP(a, b, c, 3, Z11, Z19)
#define EACH8(OP, a, b, c) \
	EACH4(OP, a, b, c); \
	OP(a, b, c, 4, Z12, Z20); \
	OP(a, b, c, 5, Z13, Z21); \
	OP(a, b, c, 6, Z14, Z22); \
	OP(a, b, c, 7, Z15, Z23)

#define ZERO(a, b, c, t, S, ACC) \
	VPXORD S, S, S
#define ZEROACC(a, b, c, t, S, ACC) \
	VPXORD ACC, ACC, ACC
#define LOAD(a, b, c, t, S, ACC) \
	VMOVUPS (64*t)(DI), ACC
#define STORE(a, b, c, t, S, ACC) \
	VMOVUPS ACC, (64*t)(DI)

// DOT multiplies four activations, at off in rows n bytes apart, with the weights W.
#define DOT(W, off, n, t, S, ACC) \
	VPDPBUSD.BCST (off+n*t)(SI), W, S

// MINIMA and BIAS do the same with two sums of activations and pairs W.
#define MINIMA(W, off, n, t, S, ACC) \
	VPDPWSSD.BCST (off+n*t)(R13), W, S
#define BIAS(W, off, n, t, S, ACC) \
	VPDPWSSD.BCST (off+n*t)(R13), W, ACC

// SCALED adds scales Z24 times the sums of a sub-block to the sums of the block.
#define SCALED(a, b, c, t, S, ACC) \
	VPMULLD Z24, S, S; \
	VPADDD S, ACC, ACC

// NARROW is SCALED for sums that fit in 16 bits, in one operation instead of three: the upper halves of scales are zero.
#define NARROW(a, b, c, t, S, ACC) \
	VPDPWSSD Z24, S, ACC

// CODES4 multiplies with four registers of codes, HIGH4 with the four behind them, CODES8 with all.
#define CODES4(EACH, n) \
	VMOVDQU32 (R8), Z0; \
	VMOVDQU32 64(R8), Z1; \
	VMOVDQU32 128(R8), Z2; \
	VMOVDQU32 192(R8), Z3; \
	EACH(DOT, Z0, 0, n); \
	EACH(DOT, Z1, 4, n); \
	EACH(DOT, Z2, 8, n); \
	EACH(DOT, Z3, 12, n)
#define HIGH4(EACH, n) \
	VMOVDQU32 256(R8), Z4; \
	VMOVDQU32 320(R8), Z5; \
	VMOVDQU32 384(R8), Z6; \
	VMOVDQU32 448(R8), Z7; \
	EACH(DOT, Z4, 16, n); \
	EACH(DOT, Z5, 20, n); \
	EACH(DOT, Z6, 24, n); \
	EACH(DOT, Z7, 28, n)
#define CODES8(EACH, n) \
	CODES4(EACH, n); \
	HIGH4(EACH, n)

// TILE is for blocks of 32; aSum is Activations.start.
#define START(a, b, c, t, S, ACC) \
	VPBROADCASTD (4*t)(R13), S
#define JOIN(a, b, c, t, S, ACC) \
	VCVTDQ2PS S, S; \
	VMULPS Z24, S, S; \
	VFMADD231PS.BCST (4*t)(R12), S, ACC
#define TILE(EACH, rows) \
	ARGS; \
	EACH(LOAD, 0, 0, 0); \
loop: \
	EACH(START, 0, 0, 0); \
	CODES8(EACH, 32); \
	VMOVUPS (R9), Z24; \
	EACH(JOIN, 0, 0, 0); \
	ADDQ $512, R8; \
	ADDQ $64, R9; \
	ADDQ $(32*rows), SI; \
	ADDQ $(4*rows), R12; \
	ADDQ $(4*rows), R13; \
	DECQ CX; \
	JNE loop; \
	EACH(STORE, 0, 0, 0); \
	VZEROUPPER; \
	RET

// TILEMIN is for blocks of 256 with sub-blocks of 32 and minima; aSum is Activations.sum.
#define JOINMIN(a, b, c, t, S, ACC) \
	VCVTDQ2PS ACC, ACC; \
	VMULPS Z24, ACC, ACC; \
	VCVTDQ2PS S, S; \
	VFNMADD231PS Z25, S, ACC; \
	VMOVUPS (64*t)(DI), S; \
	VFMADD231PS.BCST (4*t)(R12), ACC, S; \
	VMOVUPS S, (64*t)(DI)
#define SUB32(EACH) \
	EACH(ZERO, 0, 0, 0); \
	CODES8(EACH, 256); \
	VMOVDQU32 (R10), Z24; \
	EACH(SCALED, 0, 0, 0)

// SUB16 is SUB32 for codes of four bits, in two halves: the sum of sixteen products is at most 16*15*127, which fits in 16 bits.
#define SUB16(EACH) \
	VMOVDQU32 (R10), Z24; \
	EACH(ZERO, 0, 0, 0); \
	CODES4(EACH, 256); \
	EACH(NARROW, 0, 0, 0); \
	EACH(ZERO, 0, 0, 0); \
	HIGH4(EACH, 256); \
	EACH(NARROW, 0, 0, 0)
#define TILEMIN(EACH, rows, SUB) \
	ARGS; \
	AHEAD; \
loop: \
	EACH(ZEROACC, 0, 0, 0); \
	MOVQ $8, BX; \
sub: \
	FETCH \
	SUB(EACH); \
	ADDQ $512, R8; \
	ADDQ $32, SI; \
	ADDQ $64, R10; \
	DECQ BX; \
	JNE sub; \
	VMOVDQU32 (R11), Z0; \
	VMOVDQU32 64(R11), Z1; \
	VMOVDQU32 128(R11), Z2; \
	VMOVDQU32 192(R11), Z3; \
	EACH(ZERO, 0, 0, 0); \
	EACH(MINIMA, Z0, 0, 16); \
	EACH(MINIMA, Z1, 4, 16); \
	EACH(MINIMA, Z2, 8, 16); \
	EACH(MINIMA, Z3, 12, 16); \
	VMOVUPS (R9), Z24; \
	VMOVUPS (DX), Z25; \
	EACH(JOINMIN, 0, 0, 0); \
	ADDQ $64, R9; \
	ADDQ $64, DX; \
	ADDQ $256, R11; \
	ADDQ $(256*rows-256), SI; \
	ADDQ $(4*rows), R12; \
	ADDQ $(16*rows), R13; \
	ADDQ $256, AX; \
	DECQ CX; \
	JNE loop; \
	VZEROUPPER; \
	RET

// TILESUB is for blocks of 256 with sub-blocks of 16, without minima; aSum is Activations.sum.
#define JOINSUB(a, b, c, t, S, ACC) \
	VCVTDQ2PS ACC, ACC; \
	VMULPS Z24, ACC, ACC; \
	VMOVUPS (64*t)(DI), S; \
	VFMADD231PS.BCST (4*t)(R12), ACC, S; \
	VMOVUPS S, (64*t)(DI)
#define PAIR(EACH, p) \
	VMOVDQU32 (64*p)(R11), Z0; \
	EACH(BIAS, Z0, (4*p), 32)
#define TILESUB(EACH, rows) \
	ARGS; \
	AHEAD; \
loop: \
	EACH(ZEROACC, 0, 0, 0); \
	MOVQ $16, BX; \
sub: \
	FETCH \
	EACH(ZERO, 0, 0, 0); \
	CODES4(EACH, 256); \
	VMOVDQU32 (R10), Z24; \
	EACH(SCALED, 0, 0, 0); \
	ADDQ $256, R8; \
	ADDQ $16, SI; \
	ADDQ $64, R10; \
	DECQ BX; \
	JNE sub; \
	PAIR(EACH, 0); \
	PAIR(EACH, 1); \
	PAIR(EACH, 2); \
	PAIR(EACH, 3); \
	PAIR(EACH, 4); \
	PAIR(EACH, 5); \
	PAIR(EACH, 6); \
	PAIR(EACH, 7); \
	VMOVUPS (R9), Z24; \
	EACH(JOINSUB, 0, 0, 0); \
	ADDQ $64, R9; \
	ADDQ $512, R11; \
	ADDQ $(256*rows-256), SI; \
	ADDQ $(4*rows), R12; \
	ADDQ $(32*rows), R13; \
	ADDQ $256, AX; \
	DECQ CX; \
	JNE loop; \
	VZEROUPPER; \
	RET

// func tile2(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tile2(SB), NOSPLIT, $0-112
	TILE(EACH2, 2)

// func tile3(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tile3(SB), NOSPLIT, $0-112
	TILE(EACH3, 3)

// func tile4(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tile4(SB), NOSPLIT, $0-112
	TILE(EACH4, 4)

// func tile8(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tile8(SB), NOSPLIT, $0-112
	TILE(EACH8, 8)

// func tileMin1(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileMin1(SB), NOSPLIT, $0-112
	TILEMIN(EACH1, 1, SUB32)

// func tileMin2(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileMin2(SB), NOSPLIT, $0-112
	TILEMIN(EACH2, 2, SUB32)

// func tileMin3(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileMin3(SB), NOSPLIT, $0-112
	TILEMIN(EACH3, 3, SUB32)

// func tileMin4(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileMin4(SB), NOSPLIT, $0-112
	TILEMIN(EACH4, 4, SUB32)

// func tileMin8(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileMin8(SB), NOSPLIT, $0-112
	TILEMIN(EACH8, 8, SUB32)

// func tileNibble1(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileNibble1(SB), NOSPLIT, $0-112
	TILEMIN(EACH1, 1, SUB16)

// func tileNibble2(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileNibble2(SB), NOSPLIT, $0-112
	TILEMIN(EACH2, 2, SUB16)

// func tileNibble3(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileNibble3(SB), NOSPLIT, $0-112
	TILEMIN(EACH3, 3, SUB16)

// func tileNibble4(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileNibble4(SB), NOSPLIT, $0-112
	TILEMIN(EACH4, 4, SUB16)

// func tileNibble8(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileNibble8(SB), NOSPLIT, $0-112
	TILEMIN(EACH8, 8, SUB16)

// func tileSub1(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileSub1(SB), NOSPLIT, $0-112
	TILESUB(EACH1, 1)

// func tileSub2(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileSub2(SB), NOSPLIT, $0-112
	TILESUB(EACH2, 2)

// func tileSub3(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileSub3(SB), NOSPLIT, $0-112
	TILESUB(EACH3, 3)

// func tileSub4(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileSub4(SB), NOSPLIT, $0-112
	TILESUB(EACH4, 4)

// func tileSub8(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileSub8(SB), NOSPLIT, $0-112
	TILESUB(EACH8, 8)

// func scatter512(c *float32, ldc, stream int, out *float32, rows int)
TEXT ·scatter512(SB), NOSPLIT, $0-40
	MOVQ c+0(FP), DI
	MOVQ ldc+8(FP), DX
	MOVQ stream+16(FP), BX
	MOVQ out+24(FP), SI
	MOVQ rows+32(FP), CX
	LEAQ (BX)(BX*2), R8
loop:
	VMOVUPS (SI), X0
	VMOVUPS 16(SI), X1
	VMOVUPS 32(SI), X2
	VMOVUPS 48(SI), X3
	VMOVUPS X0, (DI)
	VMOVUPS X1, (DI)(BX*1)
	VMOVUPS X2, (DI)(BX*2)
	VMOVUPS X3, (DI)(R8*1)
	ADDQ $64, SI
	ADDQ DX, DI
	DECQ CX
	JNE loop
	RET
