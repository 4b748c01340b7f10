#include "textflag.h"

// Rows of B in 16 bits, and in float32,, read as columns of float32: see half.go. AVX2, 16 rows at a time. Registers:
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

#define PAIR(A, B, L, H) \
	VPUNPCKLDQ B, A, L; \
	VPUNPCKHDQ B, A, H

#define QUAD(A, B, L, H) \
	VPUNPCKLQDQ B, A, L; \
	VPUNPCKHQDQ B, A, H

#define LANES(A, B, L) \
	VPERM2I128 $0x20, B, A, L; \
	VPERM2I128 $0x31, B, A, B

// FOUR makes A-D, four rows, the columns of each 128 bits.
#define FOUR(A, B, C, D) \
	PAIR(A, B, Y8, Y9); \
	PAIR(C, D, Y10, Y11); \
	QUAD(Y8, Y10, A, B); \
	QUAD(Y9, Y11, C, D)

// TRANSPOSE makes columns of Y0-Y7, rows of 8 words of 32 bits: Y8-Y11, Y4-Y7. Y12-Y15 are left alone.
#define TRANSPOSE \
	FOUR(Y0, Y1, Y2, Y3); \
	FOUR(Y4, Y5, Y6, Y7); \
	LANES(Y0, Y4, Y8); \
	LANES(Y1, Y5, Y9); \
	LANES(Y2, Y6, Y10); \
	LANES(Y3, Y7, Y11)

// EACH does something with columns p to p+7.
#define EACH(DO, p) \
	DO(Y8, (p)); DO(Y9, (p+1)); DO(Y10, (p+2)); DO(Y11, (p+3)); \
	DO(Y4, (p+4)); DO(Y5, (p+5)); DO(Y6, (p+6)); DO(Y7, (p+7))

// HIGH makes Y14 the mask of the upper halves of words. A word of bfloat16 is columns 2p and 2p+1.
#define HIGH \
	VPCMPEQD Y14, Y14, Y14; \
	VPSLLD $16, Y14, Y14

// PUT stores a column of rows 0-7, PUT8 of rows 8-15.
#define PUT(Y, p) VMOVUPS Y, (64*p)(DI)
#define PUT8(Y, p) VMOVUPS Y, (64*p+32)(DI)
#define PUTBOTH(Y, p) \
	VPSLLD $16, Y, Y0; \
	PUT(Y0, (2*p)); \
	VPAND Y14, Y, Y1; \
	PUT(Y1, (2*p+1))
#define PUTBOTH8(Y, p) \
	VPSLLD $16, Y, Y0; \
	PUT8(Y0, (2*p)); \
	VPAND Y14, Y, Y1; \
	PUT8(Y1, (2*p+1))

// ADD adds to the sums of rows 0-7, ADD8 to those of rows 8-15.
#define ADDTO(SUM, Y, p) \
	VBROADCASTSS (4*p)(DX), Y2; \
	VFMADD231PS Y2, Y, SUM
#define ADDBOTHTO(SUM, Y, p) \
	VPSLLD $16, Y, Y0; \
	ADDTO(SUM, Y0, (2*p)); \
	VPAND Y14, Y, Y1; \
	ADDTO(SUM, Y1, (2*p+1))
#define ADD(Y, p) ADDTO(Y15, Y, p)
#define ADD8(Y, p) ADDTO(Y13, Y, p)
#define ADDBOTH(Y, p) ADDBOTHTO(Y15, Y, p)
#define ADDBOTH8(Y, p) ADDBOTHTO(Y13, Y, p)

#define PART(OP, R, S, off, DO, p) \
	LOAD4(OP, R, off, Y0, Y1, Y2, Y3); \
	LOAD4(OP, S, off, Y4, Y5, Y6, Y7); \
	TRANSPOSE; \
	EACH(DO, p)

// BF16 and F16 do something with 32 columns: DO with those of rows 0-7, DO8 with those of rows 8-15.
#define BF16(DO, DO8) \
	PART(VMOVDQU, SI, R12, 0, DO, 0); \
	PART(VMOVDQU, R13, BX, 0, DO8, 0); \
	PART(VMOVDQU, SI, R12, 32, DO, 8); \
	PART(VMOVDQU, R13, BX, 32, DO8, 8)
#define F16(DO, DO8) \
	PART(VCVTPH2PS, SI, R12, 0, DO, 0); \
	PART(VCVTPH2PS, R13, BX, 0, DO8, 0); \
	PART(VCVTPH2PS, SI, R12, 16, DO, 8); \
	PART(VCVTPH2PS, R13, BX, 16, DO8, 8); \
	PART(VCVTPH2PS, SI, R12, 32, DO, 16); \
	PART(VCVTPH2PS, R13, BX, 32, DO8, 16); \
	PART(VCVTPH2PS, SI, R12, 48, DO, 24); \
	PART(VCVTPH2PS, R13, BX, 48, DO8, 24)

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

// STORE: C = alpha·(Y15, Y13) + (C or 0).
#define STORE \
	MOVQ c+40(FP), DI; \
	VBROADCASTSS alpha+48(FP), Y2; \
	MOVBLZX load+52(FP), AX; \
	NEGL AX; \
	VMOVD AX, X3; \
	VPBROADCASTD X3, Y3; \
	VMASKMOVPS (DI), Y3, Y0; \
	VMASKMOVPS 32(DI), Y3, Y1; \
	VFMADD231PS Y2, Y15, Y0; \
	VFMADD231PS Y2, Y13, Y1; \
	VMOVUPS Y0, (DI); \
	VMOVUPS Y1, 32(DI); \
	VZEROUPPER; \
	RET

// func widenBF16AVX2(dst *float32, src *byte, ld, k, ahead int)
TEXT ·widenBF16AVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ k+24(FP), CX
	ARGS
loop:
	FETCH
	BF16(PUTBOTH, PUTBOTH8)
	NEXT(DI, 2048, 32)
	JNE loop
	VZEROUPPER
	RET

// func dotBF16AVX2(a *float32, b *byte, ld, k, ahead int, c *float32, alpha float32, load bool)
TEXT ·dotBF16AVX2(SB), NOSPLIT, $0-53
	MOVQ a+0(FP), DX
	MOVQ b+8(FP), SI
	MOVQ k+24(FP), CX
	ARGS
	VXORPS Y15, Y15, Y15
	VXORPS Y13, Y13, Y13
loop:
	FETCH
	BF16(ADDBOTH, ADDBOTH8)
	NEXT(DX, 128, 32)
	JNE loop
	STORE

// func widenF16AVX2(dst *float32, src *byte, ld, k, ahead int)
TEXT ·widenF16AVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ k+24(FP), CX
	ARGS
loop:
	FETCH
	F16(PUT, PUT8)
	NEXT(DI, 2048, 32)
	JNE loop
	VZEROUPPER
	RET

// func dotF16AVX2(a *float32, b *byte, ld, k, ahead int, c *float32, alpha float32, load bool)
TEXT ·dotF16AVX2(SB), NOSPLIT, $0-53
	MOVQ a+0(FP), DX
	MOVQ b+8(FP), SI
	MOVQ k+24(FP), CX
	ARGS
	VXORPS Y15, Y15, Y15
	VXORPS Y13, Y13, Y13
loop:
	FETCH
	F16(ADD, ADD8)
	NEXT(DX, 128, 32)
	JNE loop
	STORE

// func dotF32AVX2(a *float32, b *byte, ld, k, ahead int, c *float32, alpha float32, load bool)
TEXT ·dotF32AVX2(SB), NOSPLIT, $0-53
	MOVQ a+0(FP), DX
	MOVQ b+8(FP), SI
	MOVQ k+24(FP), CX
	ARGS
	VXORPS Y15, Y15, Y15
	VXORPS Y13, Y13, Y13
loop:
	FETCH
	PART(VMOVUPS, SI, R12, 0, ADD, 0)
	PART(VMOVUPS, R13, BX, 0, ADD8, 0)
	PART(VMOVUPS, SI, R12, 32, ADD, 8)
	PART(VMOVUPS, R13, BX, 32, ADD8, 8)
	NEXT(DX, 64, 16)
	JNE loop
	STORE
