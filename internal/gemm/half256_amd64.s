#include "textflag.h"

// Rows of B in 16 bits, read as columns of float32: see half.go. AVX2, 8 rows at a time. Registers:
// SI, R12 rows 0 and 4; R10, R11 one and three rows in bytes; R14 bytes to what is needed next.

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
	FETCH4

#define LOAD4(OP, R, off, A, B, C, D) \
	OP off(R), A; \
	OP off(R)(R10*1), B; \
	OP off(R)(R10*2), C; \
	OP off(R)(R11*1), D

#define LOAD8(OP, off) \
	LOAD4(OP, SI, off, Y0, Y1, Y2, Y3); \
	LOAD4(OP, R12, off, Y4, Y5, Y6, Y7)

#define PAIR(A, B, L, H) \
	VPUNPCKLDQ B, A, L; \
	VPUNPCKHDQ B, A, H

#define QUAD(A, B, L, H) \
	VPUNPCKLQDQ B, A, L; \
	VPUNPCKHQDQ B, A, H

#define LANES(A, B, L) \
	VPERM2I128 $0x20, B, A, L; \
	VPERM2I128 $0x31, B, A, B

// TRANSPOSE makes columns of Y0-Y7, rows of 8 words of 32 bits: Y8-Y11, Y4-Y7.
#define TRANSPOSE \
	PAIR(Y0, Y1, Y8, Y9); \
	PAIR(Y2, Y3, Y10, Y11); \
	PAIR(Y4, Y5, Y12, Y13); \
	PAIR(Y6, Y7, Y14, Y15); \
	QUAD(Y8, Y10, Y0, Y1); \
	QUAD(Y9, Y11, Y2, Y3); \
	QUAD(Y12, Y14, Y4, Y5); \
	QUAD(Y13, Y15, Y6, Y7); \
	LANES(Y0, Y4, Y8); \
	LANES(Y1, Y5, Y9); \
	LANES(Y2, Y6, Y10); \
	LANES(Y3, Y7, Y11)

// EACH does something with columns p to p+7.
#define EACH(DO, p) \
	DO(Y8, (p)); DO(Y9, (p+1)); DO(Y10, (p+2)); DO(Y11, (p+3)); \
	DO(Y4, (p+4)); DO(Y5, (p+5)); DO(Y6, (p+6)); DO(Y7, (p+7))

// BOTH makes float32 of the two bfloat16 of a word, those of columns 2p and 2p+1. Y14 is HIGH.
#define HIGH \
	VPCMPEQD Y14, Y14, Y14; \
	VPSLLD $16, Y14, Y14

#define PUT(Y, p) VMOVUPS Y, (64*p)(DI)
#define PUTBOTH(Y, p) \
	VPSLLD $16, Y, Y0; \
	PUT(Y0, (2*p)); \
	VPAND Y14, Y, Y1; \
	PUT(Y1, (2*p+1))

#define ADD(Y, p) \
	VBROADCASTSS (4*p)(DX), Y2; \
	VFMADD231PS Y2, Y, Y15
#define ADDBOTH(Y, p) \
	VPSLLD $16, Y, Y0; \
	ADD(Y0, (2*p)); \
	VPAND Y14, Y, Y1; \
	ADD(Y1, (2*p+1))

#define WIDENARGS \
	MOVQ dst+0(FP), DI; \
	MOVQ src+8(FP), SI; \
	MOVQ ld+16(FP), R10; \
	MOVQ k+24(FP), CX; \
	MOVQ ahead+32(FP), R14; \
	LEAQ (R10)(R10*2), R11; \
	LEAQ (SI)(R10*4), R12

#define WIDENNEXT \
	ADDQ $64, SI; \
	ADDQ $64, R12; \
	ADDQ $2048, DI; \
	SUBQ $32, CX

// The sums of up to eight groups of 8 rows lie on the stack. DX is the row of A, DI the group's sums, R8 the first row of B, R9 counts groups.
#define DOTARGS \
	MOVQ k+0(FP), CX; \
	MOVQ a+8(FP), DX; \
	MOVQ b+16(FP), R8; \
	MOVQ ld+24(FP), R10; \
	MOVQ ahead+32(FP), R14; \
	LEAQ (R10)(R10*2), R11; \
	VXORPS Y0, Y0, Y0; \
	VMOVUPS Y0, sums-256(SP); \
	VMOVUPS Y0, sums-224(SP); \
	VMOVUPS Y0, sums-192(SP); \
	VMOVUPS Y0, sums-160(SP); \
	VMOVUPS Y0, sums-128(SP); \
	VMOVUPS Y0, sums-96(SP); \
	VMOVUPS Y0, sums-64(SP); \
	VMOVUPS Y0, sums-32(SP)

#define DOTGROUPS \
	LEAQ sums-256(SP), DI; \
	MOVQ groups+40(FP), R9; \
	MOVQ R8, SI

// DOTPART adds columns p on of a group; PREPARE sets a register that DO needs.
#define NOTHING
#define DOTPART(OP, off, PREPARE, DO, p) \
	LOAD8(OP, off); \
	TRANSPOSE; \
	PREPARE; \
	VMOVUPS (DI), Y15; \
	EACH(DO, p); \
	VMOVUPS Y15, (DI)

#define DOTNEXTGROUP \
	ADDQ $32, DI; \
	LEAQ (R12)(R10*4), SI; \
	DECQ R9

#define DOTNEXT \
	ADDQ $64, R8; \
	ADDQ $128, DX; \
	SUBQ $32, CX

// DOTSTORE: C = alpha·sums + (C or 0).
#define DOTSTORE \
	LEAQ sums-256(SP), SI; \
	MOVQ c+48(FP), DI; \
	MOVQ groups+40(FP), R9; \
	VBROADCASTSS alpha+56(FP), Y2; \
	MOVBLZX load+60(FP), AX; \
	NEGL AX; \
	VMOVD AX, X3; \
	VPBROADCASTD X3, Y3; \
store: \
	VMASKMOVPS (DI), Y3, Y0; \
	VFMADD231PS (SI), Y2, Y0; \
	VMOVUPS Y0, (DI); \
	ADDQ $32, SI; \
	ADDQ $32, DI; \
	DECQ R9; \
	JNE store; \
	VZEROUPPER; \
	RET

// func widenBF16AVX2(dst *float32, src *byte, ld, k, ahead int)
TEXT ·widenBF16AVX2(SB), NOSPLIT, $0-40
	WIDENARGS
loop:
	FETCH
	LOAD8(VMOVDQU, 0)
	TRANSPOSE
	HIGH
	EACH(PUTBOTH, 0)
	LOAD8(VMOVDQU, 32)
	TRANSPOSE
	HIGH
	EACH(PUTBOTH, 8)
	WIDENNEXT
	JNE loop
	VZEROUPPER
	RET

// func widenF16AVX2(dst *float32, src *byte, ld, k, ahead int)
TEXT ·widenF16AVX2(SB), NOSPLIT, $0-40
	WIDENARGS
loop:
	FETCH
	LOAD8(VCVTPH2PS, 0)
	TRANSPOSE
	EACH(PUT, 0)
	LOAD8(VCVTPH2PS, 16)
	TRANSPOSE
	EACH(PUT, 8)
	LOAD8(VCVTPH2PS, 32)
	TRANSPOSE
	EACH(PUT, 16)
	LOAD8(VCVTPH2PS, 48)
	TRANSPOSE
	EACH(PUT, 24)
	WIDENNEXT
	JNE loop
	VZEROUPPER
	RET

// func dotBF16AVX2(k int, a *float32, b *byte, ld, ahead, groups int, c *float32, alpha float32, load bool)
TEXT ·dotBF16AVX2(SB), NOSPLIT, $256-61
	DOTARGS
loop:
	DOTGROUPS
group:
	LEAQ (SI)(R10*4), R12
	FETCH
	DOTPART(VMOVDQU, 0, HIGH, ADDBOTH, 0)
	DOTPART(VMOVDQU, 32, HIGH, ADDBOTH, 8)
	DOTNEXTGROUP
	JNE group
	DOTNEXT
	JNE loop
	DOTSTORE

// func dotF16AVX2(k int, a *float32, b *byte, ld, ahead, groups int, c *float32, alpha float32, load bool)
TEXT ·dotF16AVX2(SB), NOSPLIT, $256-61
	DOTARGS
loop:
	DOTGROUPS
group:
	LEAQ (SI)(R10*4), R12
	FETCH
	DOTPART(VCVTPH2PS, 0, NOTHING, ADD, 0)
	DOTPART(VCVTPH2PS, 16, NOTHING, ADD, 8)
	DOTPART(VCVTPH2PS, 32, NOTHING, ADD, 16)
	DOTPART(VCVTPH2PS, 48, NOTHING, ADD, 24)
	DOTNEXTGROUP
	JNE group
	DOTNEXT
	JNE loop
	DOTSTORE
