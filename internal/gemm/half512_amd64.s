#include "textflag.h"

// Rows of B in 16 bits, K next to K, read as columns of float32: see half.go. AVX-512, 16 rows at a time. Registers:
// SI, R12, R13, BX rows 0, 4, 8 and 12; R10, R11 one and three rows in bytes; R14 bytes to what is needed next.

#define BASES \
	LEAQ (SI)(R10*4), R12; \
	LEAQ (SI)(R10*8), R13; \
	LEAQ (R12)(R10*8), BX

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

// TRANSPOSE makes Z0-Z15, rows of 16 words of 32 bits, columns.
#define TRANSPOSE \
	PAIR(Z0, Z1, Z16, Z17); \
	PAIR(Z2, Z3, Z18, Z19); \
	PAIR(Z4, Z5, Z20, Z21); \
	PAIR(Z6, Z7, Z22, Z23); \
	PAIR(Z8, Z9, Z24, Z25); \
	PAIR(Z10, Z11, Z26, Z27); \
	PAIR(Z12, Z13, Z28, Z29); \
	PAIR(Z14, Z15, Z30, Z31); \
	QUAD(Z16, Z18, Z0, Z1); \
	QUAD(Z17, Z19, Z2, Z3); \
	QUAD(Z20, Z22, Z4, Z5); \
	QUAD(Z21, Z23, Z6, Z7); \
	QUAD(Z24, Z26, Z8, Z9); \
	QUAD(Z25, Z27, Z10, Z11); \
	QUAD(Z28, Z30, Z12, Z13); \
	QUAD(Z29, Z31, Z14, Z15); \
	LANES(Z0, Z4, Z8, Z12, Z16, Z17, Z18, Z19); \
	LANES(Z1, Z5, Z9, Z13, Z20, Z21, Z22, Z23); \
	LANES(Z2, Z6, Z10, Z14, Z24, Z25, Z26, Z27); \
	LANES(Z3, Z7, Z11, Z15, Z16, Z17, Z18, Z19)

// EACH does something with columns p to p+15.
#define EACH(DO, p) \
	DO(Z0, (p)); DO(Z1, (p+1)); DO(Z2, (p+2)); DO(Z3, (p+3)); \
	DO(Z4, (p+4)); DO(Z5, (p+5)); DO(Z6, (p+6)); DO(Z7, (p+7)); \
	DO(Z8, (p+8)); DO(Z9, (p+9)); DO(Z10, (p+10)); DO(Z11, (p+11)); \
	DO(Z12, (p+12)); DO(Z13, (p+13)); DO(Z14, (p+14)); DO(Z15, (p+15))

// BOTH makes float32 of the two bfloat16 of a word, those of columns 2p and 2p+1. Z31 is HIGH.
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

#define WIDENARGS \
	MOVQ dst+0(FP), DI; \
	MOVQ src+8(FP), SI; \
	MOVQ ld+16(FP), R10; \
	MOVQ k+24(FP), CX; \
	MOVQ ahead+32(FP), R14; \
	LEAQ (R10)(R10*2), R11; \
	BASES

#define WIDENNEXT \
	ADDQ $64, SI; \
	ADDQ $64, R12; \
	ADDQ $64, R13; \
	ADDQ $64, BX; \
	ADDQ $4096, DI; \
	SUBQ $32, CX

// The sums of up to four groups of 16 rows lie on the stack. DX is the row of A, DI the group's sums, R8 the first row of B, R9 counts groups.
#define DOTARGS \
	MOVQ k+0(FP), CX; \
	MOVQ a+8(FP), DX; \
	MOVQ b+16(FP), R8; \
	MOVQ ld+24(FP), R10; \
	MOVQ ahead+32(FP), R14; \
	LEAQ (R10)(R10*2), R11; \
	VPXORD Z0, Z0, Z0; \
	VMOVUPS Z0, sums-256(SP); \
	VMOVUPS Z0, sums-192(SP); \
	VMOVUPS Z0, sums-128(SP); \
	VMOVUPS Z0, sums-64(SP)

#define DOTGROUPS \
	LEAQ sums-256(SP), DI; \
	MOVQ groups+40(FP), R9; \
	MOVQ R8, SI

#define DOTNEXTGROUP \
	VMOVUPS Z30, (DI); \
	ADDQ $64, DI; \
	LEAQ (BX)(R10*4), SI; \
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
	VBROADCASTSS alpha+56(FP), Z2; \
	MOVBQZX load+60(FP), AX; \
	NEGQ AX; \
	KMOVW AX, K3; \
store: \
	VMOVUPS.Z (DI), K3, Z0; \
	VFMADD231PS (SI), Z2, Z0; \
	VMOVUPS Z0, (DI); \
	ADDQ $64, SI; \
	ADDQ $64, DI; \
	DECQ R9; \
	JNE store; \
	VZEROUPPER; \
	RET

// func widenBF16AVX512(dst *float32, src *byte, ld, k, ahead int)
TEXT ·widenBF16AVX512(SB), NOSPLIT, $0-40
	WIDENARGS
loop:
	FETCH
	LOAD16(VMOVDQU32, 0)
	TRANSPOSE
	HIGH
	EACH(PUTBOTH, 0)
	WIDENNEXT
	JNE loop
	VZEROUPPER
	RET

// func widenF16AVX512(dst *float32, src *byte, ld, k, ahead int)
TEXT ·widenF16AVX512(SB), NOSPLIT, $0-40
	WIDENARGS
loop:
	FETCH
	LOAD16(VCVTPH2PS, 0)
	TRANSPOSE
	EACH(PUT, 0)
	LOAD16(VCVTPH2PS, 32)
	TRANSPOSE
	EACH(PUT, 16)
	WIDENNEXT
	JNE loop
	VZEROUPPER
	RET

// func dotBF16AVX512(k int, a *float32, b *byte, ld, ahead, groups int, c *float32, alpha float32, load bool)
TEXT ·dotBF16AVX512(SB), NOSPLIT, $256-61
	DOTARGS
loop:
	DOTGROUPS
group:
	BASES
	FETCH
	LOAD16(VMOVDQU32, 0)
	TRANSPOSE
	HIGH
	VMOVUPS (DI), Z30
	EACH(ADDBOTH, 0)
	DOTNEXTGROUP
	JNE group
	DOTNEXT
	JNE loop
	DOTSTORE

// func dotF16AVX512(k int, a *float32, b *byte, ld, ahead, groups int, c *float32, alpha float32, load bool)
TEXT ·dotF16AVX512(SB), NOSPLIT, $256-61
	DOTARGS
loop:
	DOTGROUPS
group:
	BASES
	FETCH
	LOAD16(VCVTPH2PS, 0)
	TRANSPOSE
	VMOVUPS (DI), Z30
	EACH(ADD, 0)
	VMOVUPS Z30, (DI)
	LOAD16(VCVTPH2PS, 32)
	TRANSPOSE
	VMOVUPS (DI), Z30
	EACH(ADD, 16)
	DOTNEXTGROUP
	JNE group
	DOTNEXT
	JNE loop
	DOTSTORE
