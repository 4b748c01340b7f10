#include "textflag.h"

// Sixteen rows of weights taken apart into a panel, AVX-512. Codes are transposed as they are packed, four bytes at a time: a register then holds four bytes of
// each row, and masks and shifts make several chunks of the panel of it.

DATA evenPair<>+0x00(SB)/8, $0x8005800480018000
DATA evenPair<>+0x08(SB)/8, $0x800d800c80098008
GLOBL evenPair<>(SB), RODATA|NOPTR, $16
DATA oddPair<>+0x00(SB)/8, $0x8007800680038002
DATA oddPair<>+0x08(SB)/8, $0x800f800e800b800a
GLOBL oddPair<>(SB), RODATA|NOPTR, $16

// ARGS: DI codes, SI d, R12 dMin, R13 scales, R14 pairs; R8, R9, R10, R11 the first of four rows each, DX and BX once and three times the bytes between two of
// them; AX what is asked for in advance in the first stream, R15 and CX once and three times the bytes between streams.
#define ARGS \
	MOVQ code+0(FP), DI; \
	MOVQ d+8(FP), SI; \
	MOVQ dMin+16(FP), R12; \
	MOVQ scale+24(FP), R13; \
	MOVQ pair+32(FP), R14; \
	MOVQ w+40(FP), R8; \
	MOVQ stream+48(FP), R15; \
	MOVQ row+56(FP), DX; \
	MOVQ ahead+64(FP), AX; \
	ADDQ R8, AX; \
	LEAQ (DX)(DX*2), BX; \
	LEAQ (R15)(R15*2), CX; \
	LEAQ (R8)(R15*1), R9; \
	LEAQ (R8)(R15*2), R10; \
	LEAQ (R8)(CX*1), R11

// NEXT goes on to the next block of w bytes.
#define NEXT(w) \
	ADDQ $w, R8; \
	ADDQ $w, R9; \
	ADDQ $w, R10; \
	ADDQ $w, R11; \
	ADDQ $(4*w), AX; \
	DECQ blocks+72(FP)

// FETCH asks for a line of each stream.
#define FETCH(off) \
	PREFETCHT1 off(AX); \
	PREFETCHT1 off(AX)(R15*1); \
	PREFETCHT1 off(AX)(R15*2); \
	PREFETCHT1 off(AX)(CX*1)

// BYTES sets all bytes of Z.
#define BYTES(b, Z) \
	MOVL $(b*0x01010101), R15; \
	VPBROADCASTD R15, Z

// TRANSPOSE8 makes of the 32 bytes at off of each row eight registers of four bytes of all rows.
#define TRANSPOSE8(off, T0, T1, T2, T3, T4, T5, T6, T7) \
	VMOVDQU off(R8), Y0; \
	VMOVDQU off(R8)(DX*1), Y1; \
	VMOVDQU off(R8)(DX*2), Y2; \
	VMOVDQU off(R8)(BX*1), Y3; \
	VMOVDQU off(R10), Y4; \
	VMOVDQU off(R10)(DX*1), Y5; \
	VMOVDQU off(R10)(DX*2), Y6; \
	VMOVDQU off(R10)(BX*1), Y7; \
	VINSERTI64X4 $1, off(R9), Z0, Z0; \
	VINSERTI64X4 $1, off(R9)(DX*1), Z1, Z1; \
	VINSERTI64X4 $1, off(R9)(DX*2), Z2, Z2; \
	VINSERTI64X4 $1, off(R9)(BX*1), Z3, Z3; \
	VINSERTI64X4 $1, off(R11), Z4, Z4; \
	VINSERTI64X4 $1, off(R11)(DX*1), Z5, Z5; \
	VINSERTI64X4 $1, off(R11)(DX*2), Z6, Z6; \
	VINSERTI64X4 $1, off(R11)(BX*1), Z7, Z7; \
	VPUNPCKLDQ Z1, Z0, T0; \
	VPUNPCKHDQ Z1, Z0, T1; \
	VPUNPCKLDQ Z3, Z2, T2; \
	VPUNPCKHDQ Z3, Z2, T3; \
	VPUNPCKLDQ Z5, Z4, T4; \
	VPUNPCKHDQ Z5, Z4, T5; \
	VPUNPCKLDQ Z7, Z6, T6; \
	VPUNPCKHDQ Z7, Z6, T7; \
	VPUNPCKLQDQ T2, T0, Z0; \
	VPUNPCKHQDQ T2, T0, Z1; \
	VPUNPCKLQDQ T3, T1, Z2; \
	VPUNPCKHQDQ T3, T1, Z3; \
	VPUNPCKLQDQ T6, T4, Z4; \
	VPUNPCKHQDQ T6, T4, Z5; \
	VPUNPCKLQDQ T7, T5, Z6; \
	VPUNPCKHQDQ T7, T5, Z7; \
	VSHUFI32X4 $0x88, Z4, Z0, T0; \
	VSHUFI32X4 $0x88, Z5, Z1, T1; \
	VSHUFI32X4 $0x88, Z6, Z2, T2; \
	VSHUFI32X4 $0x88, Z7, Z3, T3; \
	VSHUFI32X4 $0xdd, Z4, Z0, T4; \
	VSHUFI32X4 $0xdd, Z5, Z1, T5; \
	VSHUFI32X4 $0xdd, Z6, Z2, T6; \
	VSHUFI32X4 $0xdd, Z7, Z3, T7

// TRANSPOSE4 makes Z0-Z3 of the 16 bytes at off of each row.
#define TRANSPOSE4(off) \
	VMOVDQU off(R8), X0; \
	VMOVDQU off(R8)(DX*1), X1; \
	VMOVDQU off(R8)(DX*2), X2; \
	VMOVDQU off(R8)(BX*1), X3; \
	VINSERTI32X4 $1, off(R9), Z0, Z0; \
	VINSERTI32X4 $1, off(R9)(DX*1), Z1, Z1; \
	VINSERTI32X4 $1, off(R9)(DX*2), Z2, Z2; \
	VINSERTI32X4 $1, off(R9)(BX*1), Z3, Z3; \
	VINSERTI32X4 $2, off(R10), Z0, Z0; \
	VINSERTI32X4 $2, off(R10)(DX*1), Z1, Z1; \
	VINSERTI32X4 $2, off(R10)(DX*2), Z2, Z2; \
	VINSERTI32X4 $2, off(R10)(BX*1), Z3, Z3; \
	VINSERTI32X4 $3, off(R11), Z0, Z0; \
	VINSERTI32X4 $3, off(R11)(DX*1), Z1, Z1; \
	VINSERTI32X4 $3, off(R11)(DX*2), Z2, Z2; \
	VINSERTI32X4 $3, off(R11)(BX*1), Z3, Z3; \
	VPUNPCKLDQ Z1, Z0, Z4; \
	VPUNPCKHDQ Z1, Z0, Z5; \
	VPUNPCKLDQ Z3, Z2, Z6; \
	VPUNPCKHDQ Z3, Z2, Z7; \
	VPUNPCKLQDQ Z6, Z4, Z0; \
	VPUNPCKHQDQ Z6, Z4, Z1; \
	VPUNPCKLQDQ Z7, Z5, Z2; \
	VPUNPCKHQDQ Z7, Z5, Z3

// func panelQ8_0(code *uint8, d, dMin *float32, scale *int32, pair *int16, w *byte, stream, row, ahead, blocks int)
TEXT ·panelQ8_0(SB), NOSPLIT, $0-80
	BYTES(0x80, Z31)
	ARGS
loop:
	FETCH(0)
	FETCH(64)
	FETCH(128)
	TRANSPOSE8(2, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
#define CHUNK(q, Z) \
	VPXORD Z31, Z, Z; \
	VMOVDQU32 Z, (64*q)(DI)
	CHUNK(0, Z8)
	CHUNK(1, Z9)
	CHUNK(2, Z10)
	CHUNK(3, Z11)
	CHUNK(4, Z12)
	CHUNK(5, Z13)
	CHUNK(6, Z14)
	CHUNK(7, Z15)
#undef CHUNK
	ADDQ $512, DI
	NEXT(34)
	JNE loop
	VZEROUPPER
	RET

// func panelQ4_0(code *uint8, d, dMin *float32, scale *int32, pair *int16, w *byte, stream, row, ahead, blocks int)
TEXT ·panelQ4_0(SB), NOSPLIT, $0-80
	BYTES(15, Z31)
	ARGS
loop:
	FETCH(0)
	FETCH(64)
	TRANSPOSE4(2)
#define CHUNK(q, Z) \
	VPANDD Z31, Z, Z4; \
	VPSRLD $4, Z, Z5; \
	VPANDD Z31, Z5, Z5; \
	VMOVDQU32 Z4, (64*q)(DI); \
	VMOVDQU32 Z5, (64*q+256)(DI)
	CHUNK(0, Z0)
	CHUNK(1, Z1)
	CHUNK(2, Z2)
	CHUNK(3, Z3)
#undef CHUNK
	ADDQ $512, DI
	NEXT(18)
	JNE loop
	VZEROUPPER
	RET

// MASKSK and the next two are for formats whose blocks begin with d, dMin and the 6-bit scales and minima; see unpacked.scalesK.
#define MASKSK \
	BYTES(15, Z31); \
	BYTES(0x30, Z30); \
	BYTES(0x3f, Z29); \
	MOVL $0xff, R15; \
	VPBROADCASTD R15, Z28; \
	VBROADCASTI32X4 evenPair<>(SB), Z27; \
	VBROADCASTI32X4 oddPair<>(SB), Z26

// SPREAD stores the four bytes of Z, numbers of sub-blocks j and on.
#define SPREAD(j, Z) \
	VPANDD Z28, Z, Z8; \
	VMOVDQU32 Z8, (64*j)(R13); \
	VPSRLD $8, Z, Z9; \
	VPANDD Z28, Z9, Z9; \
	VMOVDQU32 Z9, (64*j+64)(R13); \
	VPSRLD $16, Z, Z10; \
	VPANDD Z28, Z10, Z10; \
	VMOVDQU32 Z10, (64*j+128)(R13); \
	VPSRLD $24, Z, Z11; \
	VMOVDQU32 Z11, (64*j+192)(R13)

#define PAIRS(p, Z) \
	VPSHUFB Z27, Z, Z8; \
	VMOVDQU32 Z8, (64*p)(R14); \
	VPSHUFB Z26, Z, Z9; \
	VMOVDQU32 Z9, (64*p+64)(R14)

// HEADERK takes d, dMin, scales and minima of a block apart. VPTERNLOGD $0xea is (A & B) | C.
#define HEADERK \
	TRANSPOSE4(0); \
	VPMOVDW Z0, Y4; \
	VCVTPH2PS Y4, Z4; \
	VMOVUPS Z4, (SI); \
	VPSRLD $16, Z0, Z0; \
	VPMOVDW Z0, Y4; \
	VCVTPH2PS Y4, Z4; \
	VMOVUPS Z4, (R12); \
	VPANDD Z29, Z1, Z4; \
	SPREAD(0, Z4); \
	VPANDD Z29, Z2, Z5; \
	PAIRS(0, Z5); \
	VPSRLD $2, Z1, Z6; \
	VPANDD Z30, Z6, Z6; \
	VPSRLD $4, Z3, Z7; \
	VPTERNLOGD $0xea, Z6, Z31, Z3; \
	SPREAD(4, Z3); \
	VPSRLD $2, Z2, Z6; \
	VPANDD Z30, Z6, Z6; \
	VPTERNLOGD $0xea, Z6, Z31, Z7; \
	PAIRS(2, Z7); \
	ADDQ $64, SI; \
	ADDQ $64, R12; \
	ADDQ $512, R13; \
	ADDQ $256, R14

// func panelQ4_K(code *uint8, d, dMin *float32, scale *int32, pair *int16, w *byte, stream, row, ahead, blocks int)
TEXT ·panelQ4_K(SB), NOSPLIT, $0-80
	MASKSK
	ARGS
loop:
	FETCH(0)
	FETCH(64)
	FETCH(128)
	FETCH(192)
	HEADERK
#define CHUNK(j, q, Z) \
	VPANDD Z31, Z, Z0; \
	VPSRLD $4, Z, Z1; \
	VPANDD Z31, Z1, Z1; \
	VMOVDQU32 Z0, (1024*j+64*q)(DI); \
	VMOVDQU32 Z1, (1024*j+512+64*q)(DI)
#define PART(j) \
	TRANSPOSE8((16+32*j), Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15); \
	CHUNK(j, 0, Z8); \
	CHUNK(j, 1, Z9); \
	CHUNK(j, 2, Z10); \
	CHUNK(j, 3, Z11); \
	CHUNK(j, 4, Z12); \
	CHUNK(j, 5, Z13); \
	CHUNK(j, 6, Z14); \
	CHUNK(j, 7, Z15)
	PART(0)
	PART(1)
	PART(2)
	PART(3)
#undef PART
#undef CHUNK
	ADDQ $4096, DI
	NEXT(144)
	JNE loop
	VZEROUPPER
	RET

// func panelQ5_K(code *uint8, d, dMin *float32, scale *int32, pair *int16, w *byte, stream, row, ahead, blocks int)
TEXT ·panelQ5_K(SB), NOSPLIT, $0-80
	MASKSK
	BYTES(0x10, Z25)
	ARGS
loop:
	FETCH(0)
	FETCH(64)
	FETCH(128)
	FETCH(192)
	HEADERK
	TRANSPOSE8(16, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)
#define CHUNK(j, SHIFT0, n0, SHIFT1, n1, q, Z, H) \
	VPSRLD $4, Z, Z0; \
	SHIFT0 $n0, H, Z1; \
	VPANDD Z25, Z1, Z1; \
	VPTERNLOGD $0xea, Z1, Z31, Z; \
	SHIFT1 $n1, H, Z2; \
	VPANDD Z25, Z2, Z2; \
	VPTERNLOGD $0xea, Z2, Z31, Z0; \
	VMOVDQU32 Z, (1024*j+64*q)(DI); \
	VMOVDQU32 Z0, (1024*j+512+64*q)(DI)
#define PART(j, SHIFT0, n0, SHIFT1, n1) \
	TRANSPOSE8((48+32*j), Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15); \
	CHUNK(j, SHIFT0, n0, SHIFT1, n1, 0, Z8, Z16); \
	CHUNK(j, SHIFT0, n0, SHIFT1, n1, 1, Z9, Z17); \
	CHUNK(j, SHIFT0, n0, SHIFT1, n1, 2, Z10, Z18); \
	CHUNK(j, SHIFT0, n0, SHIFT1, n1, 3, Z11, Z19); \
	CHUNK(j, SHIFT0, n0, SHIFT1, n1, 4, Z12, Z20); \
	CHUNK(j, SHIFT0, n0, SHIFT1, n1, 5, Z13, Z21); \
	CHUNK(j, SHIFT0, n0, SHIFT1, n1, 6, Z14, Z22); \
	CHUNK(j, SHIFT0, n0, SHIFT1, n1, 7, Z15, Z23)
	PART(0, VPSLLD, 4, VPSLLD, 3)
	PART(1, VPSLLD, 2, VPSLLD, 1)
	PART(2, VPSLLD, 0, VPSRLD, 1)
	PART(3, VPSRLD, 2, VPSRLD, 3)
#undef PART
#undef CHUNK
	ADDQ $4096, DI
	NEXT(176)
	JNE loop
	VZEROUPPER
	RET

// func panelQ6_K(code *uint8, d, dMin *float32, scale *int32, pair *int16, w *byte, stream, row, ahead, blocks int)
TEXT ·panelQ6_K(SB), NOSPLIT, $0-80
	BYTES(15, Z31)
	BYTES(0x30, Z30)
	VPXORD Z29, Z29, Z29
	VBROADCASTI32X4 evenPair<>(SB), Z27
	VBROADCASTI32X4 oddPair<>(SB), Z26
	ARGS
loop:
	FETCH(0)
	FETCH(64)
	FETCH(128)
	FETCH(192)
	TRANSPOSE4(192)
#define SCALE(j, shift, Z) \
	VPSLLD $shift, Z, Z8; \
	VPSRAD $24, Z8, Z8; \
	VMOVDQU32 Z8, (64*j)(R13)
#define PAIR(p, C, Z) \
	VPSHUFB C, Z, Z9; \
	VPSLLW $8, Z9, Z9; \
	VPSRAW $3, Z9, Z9; \
	VPSUBW Z9, Z29, Z9; \
	VMOVDQU32 Z9, (64*p)(R14)
#define SCALES(k, Z) \
	SCALE((4*k), 24, Z); \
	SCALE((4*k+1), 16, Z); \
	SCALE((4*k+2), 8, Z); \
	SCALE((4*k+3), 0, Z); \
	PAIR((2*k), Z27, Z); \
	PAIR((2*k+1), Z26, Z)
	SCALES(0, Z0)
	SCALES(1, Z1)
	SCALES(2, Z2)
	SCALES(3, Z3)
#define LOW(h, q, Z, H) \
	VPSRLD $4, Z, Z0; \
	VPSLLD $4, H, Z1; \
	VPANDD Z30, Z1, Z1; \
	VPTERNLOGD $0xea, Z1, Z31, Z; \
	VPANDD Z30, H, Z2; \
	VPTERNLOGD $0xea, Z2, Z31, Z0; \
	VMOVDQU32 Z, (2048*h+64*q)(DI); \
	VMOVDQU32 Z0, (2048*h+1024+64*q)(DI)
#define HIGH(h, q, Z, H) \
	VPSRLD $4, Z, Z0; \
	VPSLLD $2, H, Z1; \
	VPANDD Z30, Z1, Z1; \
	VPTERNLOGD $0xea, Z1, Z31, Z; \
	VPSRLD $2, H, Z2; \
	VPANDD Z30, Z2, Z2; \
	VPTERNLOGD $0xea, Z2, Z31, Z0; \
	VMOVDQU32 Z, (2048*h+512+64*q)(DI); \
	VMOVDQU32 Z0, (2048*h+1536+64*q)(DI)
#define HALF(h) \
	TRANSPOSE8((128+32*h), Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23); \
	TRANSPOSE8((64*h), Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15); \
	LOW(h, 0, Z8, Z16); \
	LOW(h, 1, Z9, Z17); \
	LOW(h, 2, Z10, Z18); \
	LOW(h, 3, Z11, Z19); \
	LOW(h, 4, Z12, Z20); \
	LOW(h, 5, Z13, Z21); \
	LOW(h, 6, Z14, Z22); \
	LOW(h, 7, Z15, Z23); \
	TRANSPOSE8((64*h+32), Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15); \
	HIGH(h, 0, Z8, Z16); \
	HIGH(h, 1, Z9, Z17); \
	HIGH(h, 2, Z10, Z18); \
	HIGH(h, 3, Z11, Z19); \
	HIGH(h, 4, Z12, Z20); \
	HIGH(h, 5, Z13, Z21); \
	HIGH(h, 6, Z14, Z22); \
	HIGH(h, 7, Z15, Z23)
	HALF(0)
	HALF(1)
#undef HALF
#undef HIGH
#undef LOW
#undef SCALES
#undef PAIR
#undef SCALE
	ADDQ $4096, DI
	ADDQ $1024, R13
	ADDQ $512, R14
	NEXT(210)
	JNE loop
	VZEROUPPER
	RET
