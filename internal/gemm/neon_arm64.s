#include "textflag.h"
#include "neon_arm64.h"

// Sums of row r are in V(8+2r) and V(9+2r); V3, V4 hold B[k, 0:8].

// One row whose element of A is in the lane that FMLA names, of V(a).
#define LANE(FMLA, a, x, y) FMLA(a, 3, x); FMLA(a, 4, y)

// One row whose element of A is loaded alone, to F = V(a).
#define ROW(addr, F, a, x, y) FMOVS addr, F; FMLA0(a, 3, x); FMLA0(a, 4, y)

#define ROWS1 ROW((R1), F0, 0, 8, 9)
#define ROWS2 ROWS1; ROW((R1)(R8), F1, 1, 10, 11)
#define ROWS3 ROWS2; ROW((R1)(R9), F2, 2, 12, 13)
#define ROWS4 ROWS3; ROW((R14), F5, 5, 14, 15)
#define ROWS5 ROWS4; ROW((R14)(R8), F6, 6, 16, 17)
#define ROWS6 ROWS5; ROW((R14)(R9), F7, 7, 18, 19)
#define ROWS7 ROWS6; ROW((R15), F0, 0, 20, 21)
#define ROWS8 ROWS7; ROW((R15)(R8), F1, 1, 22, 23)
#define ROWS9 ROWS8; ROW((R15)(R9), F2, 2, 24, 25)
#define ROWS10 ROWS9; ROW((R16), F5, 5, 26, 27)
#define ROWS11 ROWS10; ROW((R16)(R8), F6, 6, 28, 29)
#define ROWS12 ROWS11; ROW((R16)(R9), F7, 7, 30, 31)

#define LOADB \
	FLDPQ (R4), (F3, F4); \
	ADD   R5, R4

// LOOP runs ROWS for each k and goes on at store.
#define LOOP(here, ROWS) \
here: \
	LOADB; \
	ROWS; \
	ADD  R12, R1; \
	ADD  R12, R14; \
	ADD  R12, R15; \
	ADD  R12, R16; \
	SUBS $1, R0; \
	BNE  here; \
	B    store

#define ZERO(v) VEOR v.B16, v.B16, v.B16

#define PREFETCHROW \
	PRFM (R6), PLDL1KEEP; \
	PRFM 28(R10), PLDL1KEEP; \
	ADD  R7, R6; \
	ADD  R7, R10

// C = alpha*sum + (C or 0); V5 is all ones when C is loaded, else zero; V2 holds alpha.
#define STORE(x, y) \
	FLDPQ (R6), (F0, F1); \
	VAND  V5.B16, V0.B16, V0.B16; \
	VAND  V5.B16, V1.B16, V1.B16; \
	FMLA0(2, x, 0); \
	FMLA0(2, y, 1); \
	FSTPQ (F0, F1), (R6); \
	ADD   R7, R6; \
	SUBS  $1, R3; \
	BEQ   done

// func tileNEON(k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)
// n is always 8.
TEXT ·tileNEON(SB), NOSPLIT, $0-85
	MOVD k+0(FP), R0
	MOVD a+8(FP), R1
	MOVD ars+16(FP), R8
	MOVD acs+24(FP), R12
	MOVD b+32(FP), R4
	MOVD ldb+40(FP), R5
	MOVD c+48(FP), R6
	MOVD ldc+56(FP), R7
	MOVD m+64(FP), R3
	LSL  $2, R8             // bytes between rows of A
	LSL  $2, R12            // bytes between columns of A
	LSL  $2, R5             // bytes between rows of B
	LSL  $2, R7             // bytes between rows of C
	LSL  $1, R8, R9
	ADD  R8, R9, R13
	ADD  R13, R1, R14       // rows 3-5
	ADD  R13, R14, R15      // rows 6-8
	ADD  R13, R15, R16      // rows 9-11
	ZERO(V8)
	ZERO(V9)
	ZERO(V10)
	ZERO(V11)
	ZERO(V12)
	ZERO(V13)
	ZERO(V14)
	ZERO(V15)
	ZERO(V16)
	ZERO(V17)
	ZERO(V18)
	ZERO(V19)
	ZERO(V20)
	ZERO(V21)
	ZERO(V22)
	ZERO(V23)
	ZERO(V24)
	ZERO(V25)
	ZERO(V26)
	ZERO(V27)
	ZERO(V28)
	ZERO(V29)
	ZERO(V30)
	ZERO(V31)

	CMP $12, R3
	BEQ whole
	CMP $2, R3
	BLT rows1
	BEQ rows2
	CMP $4, R3
	BLT rows3
	BEQ rows4
	CMP $6, R3
	BLT rows5
	BEQ rows6
	CMP $8, R3
	BLT rows7
	BEQ rows8
	CMP $10, R3
	BLT rows9
	BEQ rows10
	B   rows11

whole:
	// Fetch the tile of C: each row is in a page of its own, which no hardware prefetcher foresees.
	MOVD R6, R10
	PREFETCHROW
	PREFETCHROW
	PREFETCHROW
	PREFETCHROW
	PREFETCHROW
	PREFETCHROW
	PREFETCHROW
	PREFETCHROW
	PREFETCHROW
	PREFETCHROW
	PREFETCHROW
	PREFETCHROW
	MOVD c+48(FP), R6
	CMP  $4, R8
	BNE  rows12

	// Twelve rows side by side, as in a panel: three loads bring a column of A.
	PCALIGN $32
packed:
	FLDPQ (R1), (F0, F1)
	FMOVQ 32(R1), F2
	LOADB
	LANE(FMLA0, 0, 8, 9)
	LANE(FMLA1, 0, 10, 11)
	LANE(FMLA2, 0, 12, 13)
	LANE(FMLA3, 0, 14, 15)
	LANE(FMLA0, 1, 16, 17)
	LANE(FMLA1, 1, 18, 19)
	LANE(FMLA2, 1, 20, 21)
	LANE(FMLA3, 1, 22, 23)
	LANE(FMLA0, 2, 24, 25)
	LANE(FMLA1, 2, 26, 27)
	LANE(FMLA2, 2, 28, 29)
	LANE(FMLA3, 2, 30, 31)
	ADD   R12, R1
	SUBS  $1, R0
	BNE   packed
	B     store

	LOOP(rows12, ROWS12)
	LOOP(rows11, ROWS11)
	LOOP(rows10, ROWS10)
	LOOP(rows9, ROWS9)
	LOOP(rows8, ROWS8)
	LOOP(rows7, ROWS7)
	LOOP(rows6, ROWS6)
	LOOP(rows5, ROWS5)
	LOOP(rows4, ROWS4)
	LOOP(rows3, ROWS3)
	LOOP(rows2, ROWS2)
	LOOP(rows1, ROWS1)

store:
	MOVWU alpha+80(FP), R10
	VDUP  R10, V2.S4
	MOVBU load+84(FP), R10
	NEG   R10, R10
	VDUP  R10, V5.S4
	STORE(8, 9)
	STORE(10, 11)
	STORE(12, 13)
	STORE(14, 15)
	STORE(16, 17)
	STORE(18, 19)
	STORE(20, 21)
	STORE(22, 23)
	STORE(24, 25)
	STORE(26, 27)
	STORE(28, 29)
	STORE(30, 31)

done:
	RET

#define STORE2(x, y, off) \
	FLDPQ off(R6), (F0, F1); \
	VAND  V5.B16, V0.B16, V0.B16; \
	VAND  V5.B16, V1.B16, V1.B16; \
	FMLA0(2, x, 0); \
	FMLA0(2, y, 1); \
	FSTPQ (F0, F1), off(R6)

// func rowNEON(k int, a *float32, acs int, b *float32, ldb, panel int, c *float32, alpha float32, load bool)
TEXT ·rowNEON(SB), NOSPLIT, $0-61
	MOVD k+0(FP), R0
	MOVD a+8(FP), R1
	MOVD acs+16(FP), R12
	MOVD b+24(FP), R4
	MOVD ldb+32(FP), R5
	MOVD panel+40(FP), R8
	MOVD c+48(FP), R6
	LSL  $2, R12
	LSL  $2, R5
	LSL  $2, R8
	ADD  R8, R4, R14
	ADD  R8, R14, R15
	ADD  R8, R15, R16
	ZERO(V8)
	ZERO(V9)
	ZERO(V10)
	ZERO(V11)
	ZERO(V12)
	ZERO(V13)
	ZERO(V14)
	ZERO(V15)

	PCALIGN $32
loop:
	FMOVS (R1), F0
	FLDPQ (R4), (F16, F17)
	FLDPQ (R14), (F18, F19)
	FLDPQ (R15), (F20, F21)
	FLDPQ (R16), (F22, F23)
	FMLA0(0, 16, 8)
	FMLA0(0, 17, 9)
	FMLA0(0, 18, 10)
	FMLA0(0, 19, 11)
	FMLA0(0, 20, 12)
	FMLA0(0, 21, 13)
	FMLA0(0, 22, 14)
	FMLA0(0, 23, 15)
	ADD   R12, R1
	ADD   R5, R4
	ADD   R5, R14
	ADD   R5, R15
	ADD   R5, R16
	SUBS  $1, R0
	BNE   loop

	MOVWU alpha+56(FP), R10
	VDUP  R10, V2.S4
	MOVBU load+60(FP), R10
	NEG   R10, R10
	VDUP  R10, V5.S4
	STORE2(8, 9, 0)
	STORE2(10, 11, 32)
	STORE2(12, 13, 64)
	STORE2(14, 15, 96)
	RET

// func peakNEON(n int)
TEXT ·peakNEON(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0
	ZERO(V0)

	PCALIGN $32
loop:
	FMLA0(0, 0, 8)
	FMLA0(0, 0, 9)
	FMLA0(0, 0, 10)
	FMLA0(0, 0, 11)
	FMLA0(0, 0, 12)
	FMLA0(0, 0, 13)
	FMLA0(0, 0, 14)
	FMLA0(0, 0, 15)
	FMLA0(0, 0, 16)
	FMLA0(0, 0, 17)
	FMLA0(0, 0, 18)
	FMLA0(0, 0, 19)
	FMLA0(0, 0, 20)
	FMLA0(0, 0, 21)
	FMLA0(0, 0, 22)
	FMLA0(0, 0, 23)
	FMLA0(0, 0, 24)
	FMLA0(0, 0, 25)
	FMLA0(0, 0, 26)
	FMLA0(0, 0, 27)
	FMLA0(0, 0, 28)
	FMLA0(0, 0, 29)
	FMLA0(0, 0, 30)
	FMLA0(0, 0, 31)
	SUBS $1, R0
	BNE  loop
	RET

// func transpose4NEON(dst *float32, w int, src *float32, ld, k int)
// dst[p*w+i] = src[i*ld+p] for i < 4, p < k; k is a multiple of 8.
TEXT ·transpose4NEON(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R0
	MOVD w+8(FP), R1
	MOVD src+16(FP), R2
	MOVD ld+24(FP), R3
	MOVD k+32(FP), R4
	LSL  $2, R1
	LSL  $2, R3
	ADD  R3, R2, R5
	ADD  R3, R5, R6
	ADD  R3, R6, R7
	CBZ  R4, done

loop:
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R5), F1
	FMOVQ.P 16(R6), F2
	FMOVQ.P 16(R7), F3
	VZIP1   V1.S4, V0.S4, V4.S4 // rows 0 and 1 of columns 0 and 1
	VZIP2   V1.S4, V0.S4, V5.S4 // of columns 2 and 3
	VZIP1   V3.S4, V2.S4, V6.S4 // rows 2 and 3
	VZIP2   V3.S4, V2.S4, V7.S4
	VZIP1   V6.D2, V4.D2, V0.D2
	VZIP2   V6.D2, V4.D2, V1.D2
	VZIP1   V7.D2, V5.D2, V2.D2
	VZIP2   V7.D2, V5.D2, V3.D2
	FMOVQ   F0, (R0)
	ADD     R1, R0
	FMOVQ   F1, (R0)
	ADD     R1, R0
	FMOVQ   F2, (R0)
	ADD     R1, R0
	FMOVQ   F3, (R0)
	ADD     R1, R0
	SUBS    $4, R4
	BNE     loop

done:
	RET

#define COPYARGS \
	MOVD dst+0(FP), R0; \
	MOVD w+8(FP), R1; \
	MOVD src+16(FP), R2; \
	MOVD ld+24(FP), R3; \
	MOVD k+32(FP), R4; \
	LSL  $2, R1; \
	LSL  $2, R3

// func copy4NEON(dst *float32, w int, src *float32, ld, k int)
// dst[p*w+i] = src[p*ld+i] for i < 4, p < k.
TEXT ·copy4NEON(SB), NOSPLIT, $0-40
	COPYARGS

loop:
	FMOVQ (R2), F0
	ADD   R3, R2
	FMOVQ F0, (R0)
	ADD   R1, R0
	SUBS  $1, R4
	BNE   loop
	RET

// func copy12NEON(dst *float32, w int, src *float32, ld, k int)
// dst[p*w+i] = src[p*ld+i] for i < 12, p < k.
TEXT ·copy12NEON(SB), NOSPLIT, $0-40
	COPYARGS

loop:
	FLDPQ (R2), (F0, F1)
	FMOVQ 32(R2), F2
	ADD   R3, R2
	FSTPQ (F0, F1), (R0)
	FMOVQ F2, 32(R0)
	ADD   R1, R0
	SUBS  $1, R4
	BNE   loop
	RET

// func addTo8NEON(y, x *float32, n int)
// y += x over n elements, n a multiple of 8.
TEXT ·addTo8NEON(SB), NOSPLIT, $0-24
	MOVD y+0(FP), R0
	MOVD x+8(FP), R1
	MOVD n+16(FP), R2
	CBZ  R2, done

loop:
	FLDPQ   (R0), (F0, F1)
	FLDPQ.P 32(R1), (F2, F3)
	FADD4S(2, 0, 0)
	FADD4S(3, 1, 1)
	FSTPQ.P (F0, F1), 32(R0)
	SUBS    $8, R2
	BNE     loop

done:
	RET

// func fetchNEON(p *float32, n int)
// Asks for n elements from p to come into the second-level cache.
TEXT ·fetchNEON(SB), NOSPLIT, $0-16
	MOVD p+0(FP), R0
	MOVD n+8(FP), R1

loop:
	PRFM (R0), PLDL2KEEP
	ADD  $64, R0
	SUBS $16, R1
	BGT  loop
	RET
