#include "textflag.h"

// Rows of B in 16 bits, and in float32,, K next to K, read as columns of float32: see half.go. AVX-512, 16 rows at a time. Registers:
// SI, R12, R13, BX rows 0, 4, 8 and 12; R10, R11 one and three rows in bytes; R14 bytes to what is needed next.

#define FETCH4 \
	PREFETCHT0 (AX); \
	PREFETCHT0 (AX)(R10*1); \
	PREFETCHT0 (AX)(R10*2); \
	PREFETCHT0 (AX)(R11*1)

// FETCH asks for a line of each row.
#define FETCH \
	LEAQ (SI)(R14*1), AX; \
	FETCH4; \
	LEAQ (AX)(R10*4), AX; \
	FETCH4; \
	LEAQ (AX)(R10*4), AX; \
	FETCH4; \
	LEAQ (AX)(R10*4), AX; \
	FETCH4

#define LOAD4(OP, R, off, A, B, C, D) \
	OP off(R), A; \
	OP off(R)(R10*1), B; \
	OP off(R)(R10*2), C; \
	OP off(R)(R11*1), D

#define LOAD16(OP, off) \
	LOAD4(OP, SI, off, Z0, Z1, Z2, Z3); \
	LOAD4(OP, R12, off, Z4, Z5, Z6, Z7); \
	LOAD4(OP, R13, off, Z8, Z9, Z10, Z11); \
	LOAD4(OP, BX, off, Z12, Z13, Z14, Z15)

#define PAIR(A, B, L, H) \
	VPUNPCKLDQ B, A, L; \
	VPUNPCKHDQ B, A, H

#define QUAD(A, B, L, H) \
	VPUNPCKLQDQ B, A, L; \
	VPUNPCKHQDQ B, A, H

#define LANES(A, B, C, D, S, T, U, V) \
	VSHUFI32X4 $0x44, B, A, S; \
	VSHUFI32X4 $0x44, D, C, T; \
	VSHUFI32X4 $0xee, B, A, U; \
	VSHUFI32X4 $0xee, D, C, V; \
	VSHUFI32X4 $0x88, T, S, A; \
	VSHUFI32X4 $0xdd, T, S, B; \
	VSHUFI32X4 $0x88, V, U, C; \
	VSHUFI32X4 $0xdd, V, U, D

// FOUR makes A-D, four rows, the columns of each 128 bits.
#define FOUR(A, B, C, D, S, T, U, V) \
	PAIR(A, B, S, T); \
	PAIR(C, D, U, V); \
	QUAD(S, U, A, B); \
	QUAD(T, V, C, D)

// TRANSPOSE makes Z0-Z15, rows of 16 words of 32 bits, columns. Z28-Z31 are left alone.
#define TRANSPOSE \
	FOUR(Z0, Z1, Z2, Z3, Z16, Z17, Z18, Z19); \
	FOUR(Z4, Z5, Z6, Z7, Z20, Z21, Z22, Z23); \
	FOUR(Z8, Z9, Z10, Z11, Z24, Z25, Z26, Z27); \
	FOUR(Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19); \
	LANES(Z0, Z4, Z8, Z12, Z20, Z21, Z22, Z23); \
	LANES(Z1, Z5, Z9, Z13, Z24, Z25, Z26, Z27); \
	LANES(Z2, Z6, Z10, Z14, Z16, Z17, Z18, Z19); \
	LANES(Z3, Z7, Z11, Z15, Z20, Z21, Z22, Z23)

// EACH does something with columns p to p+15.
#define EACH(DO, p) \
	DO(Z0, (p)); DO(Z1, (p+1)); DO(Z2, (p+2)); DO(Z3, (p+3)); \
	DO(Z4, (p+4)); DO(Z5, (p+5)); DO(Z6, (p+6)); DO(Z7, (p+7)); \
	DO(Z8, (p+8)); DO(Z9, (p+9)); DO(Z10, (p+10)); DO(Z11, (p+11)); \
	DO(Z12, (p+12)); DO(Z13, (p+13)); DO(Z14, (p+14)); DO(Z15, (p+15))

// HIGH makes Z31 the mask of the upper halves of words. A word of bfloat16 is columns 2p and 2p+1.
#define HIGH \
	VPTERNLOGD $0xff, Z31, Z31, Z31; \
	VPSLLD $16, Z31, Z31

#define PUT(Z, p) VMOVUPS Z, (128*p)(DI)
#define PUTBOTH(Z, p) \
	VPSLLD $16, Z, Z16; \
	PUT(Z16, (2*p)); \
	VPANDD Z31, Z, Z17; \
	PUT(Z17, (2*p+1))

#define ADD(Z, p) VFMADD231PS.BCST (4*p)(DX), Z, Z30
#define ADDBOTH(Z, p) \
	VPSLLD $16, Z, Z16; \
	ADD(Z16, (2*p)); \
	VPANDD Z31, Z, Z17; \
	ADD(Z17, (2*p+1))

// BF16 and F16 do something with 32 columns.
#define BF16(DO) \
	LOAD16(VMOVDQU32, 0); \
	TRANSPOSE; \
	EACH(DO, 0)
#define F16(DO) \
	LOAD16(VCVTPH2PS, 0); \
	TRANSPOSE; \
	EACH(DO, 0); \
	LOAD16(VCVTPH2PS, 32); \
	TRANSPOSE; \
	EACH(DO, 16)

#define ARGS \
	MOVQ ld+16(FP), R10; \
	MOVQ ahead+32(FP), R14; \
	LEAQ (R10)(R10*2), R11; \
	LEAQ (SI)(R10*4), R12; \
	LEAQ (SI)(R10*8), R13; \
	LEAQ (R12)(R10*8), BX; \
	HIGH

// NEXT goes on by a line of each row, n numbers, and as many bytes of R.
#define NEXT(R, bytes, n) \
	ADDQ $64, SI; \
	ADDQ $64, R12; \
	ADDQ $64, R13; \
	ADDQ $64, BX; \
	ADDQ $bytes, R; \
	SUBQ $n, CX

// STORE: C = alpha·Z30 + (C or 0).
#define STORE \
	MOVQ c+40(FP), DI; \
	VBROADCASTSS alpha+48(FP), Z2; \
	MOVBQZX load+52(FP), AX; \
	NEGQ AX; \
	KMOVW AX, K3; \
	VMOVUPS.Z (DI), K3, Z0; \
	VFMADD231PS Z2, Z30, Z0; \
	VMOVUPS Z0, (DI); \
	VZEROUPPER; \
	RET

// func widenBF16AVX512(dst *float32, src *byte, ld, k, ahead int)
TEXT ·widenBF16AVX512(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ k+24(FP), CX
	ARGS
loop:
	FETCH
	BF16(PUTBOTH)
	NEXT(DI, 4096, 32)
	JNE loop
	VZEROUPPER
	RET

// func dotBF16AVX512(a *float32, b *byte, ld, k, ahead int, c *float32, alpha float32, load bool)
TEXT ·dotBF16AVX512(SB), NOSPLIT, $0-53
	MOVQ a+0(FP), DX
	MOVQ b+8(FP), SI
	MOVQ k+24(FP), CX
	ARGS
	VPXORD Z30, Z30, Z30
loop:
	FETCH
	BF16(ADDBOTH)
	NEXT(DX, 128, 32)
	JNE loop
	STORE

// func widenF16AVX512(dst *float32, src *byte, ld, k, ahead int)
TEXT ·widenF16AVX512(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ k+24(FP), CX
	ARGS
loop:
	FETCH
	F16(PUT)
	NEXT(DI, 4096, 32)
	JNE loop
	VZEROUPPER
	RET

// func dotF16AVX512(a *float32, b *byte, ld, k, ahead int, c *float32, alpha float32, load bool)
TEXT ·dotF16AVX512(SB), NOSPLIT, $0-53
	MOVQ a+0(FP), DX
	MOVQ b+8(FP), SI
	MOVQ k+24(FP), CX
	ARGS
	VPXORD Z30, Z30, Z30
loop:
	FETCH
	F16(ADD)
	NEXT(DX, 128, 32)
	JNE loop
	STORE

// func dotF32AVX512(a *float32, b *byte, ld, k, ahead int, c *float32, alpha float32, load bool)
TEXT ·dotF32AVX512(SB), NOSPLIT, $0-53
	MOVQ a+0(FP), DX
	MOVQ b+8(FP), SI
	MOVQ k+24(FP), CX
	ARGS
	VPXORD Z30, Z30, Z30
loop:
	FETCH
	LOAD16(VMOVUPS, 0)
	TRANSPOSE
	EACH(ADD, 0)
	NEXT(DX, 64, 16)
	JNE loop
	STORE
